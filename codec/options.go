package codec

// Options are a model's own settings for the formats that have some; its
// clary.yaml and the environment fill them. The zero value is every format's
// default.
type Options struct {
	Reply   ReplyOptions // how rows are written
	SparkML *Schema      // of CSV and of JSON's "data"; nil: only what a request brings along
	Image   ImageOptions
	Sparse  SparseOptions
	LibSVM  LibSVMOptions
}
