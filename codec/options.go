package codec

// Options are a model's own settings for the formats that have some; its
// clary.yaml fills them. The zero value is every format's default.
type Options struct {
	Image  ImageOptions
	Sparse SparseOptions
	LibSVM LibSVMOptions
}
