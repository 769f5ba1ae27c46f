package networks

// squeezeNet is SqueezeNet 1.1 (Iandola et al., arXiv 1602.07360): eight fire
// modules and no fully connected layer.
func squeezeNet(g *graph) {
	g.input("data_0", "[N,3,224,224]")
	g.squeeze("data_0")
}

func thumbnail(g *graph) {
	g.input("data_0", "[N,3,8,8]")
	g.squeeze(g.node("Resize", []string{"data_0", "", g.float32s(1, 1, 16, 16)}, word("mode", "nearest")))
}

// squeeze is the whole network behind its input.
func (g *graph) squeeze(x string) {
	x = g.relu(g.convolution(x, conv{in: 3, out: 64, kernel: 3, stride: 2, bias: true}))
	x = g.maxPool(x, 3, 2, 0)
	channels := 64
	for i, squeeze := range []int{16, 16, 32, 32, 48, 48, 64, 64} {
		if i == 2 || i == 4 {
			x = g.maxPool(x, 3, 2, 0)
		}
		x = g.fire(x, channels, squeeze)
		channels = 8 * squeeze
	}
	x = g.relu(g.convolution(x, conv{in: channels, out: 1000, kernel: 1, stride: 1, bias: true}))
	x = g.node("GlobalAveragePool", []string{x})
	g.output(g.softmax(x), "[N,1000,1,1]")
}

// fire squeezes the channels and expands them eight times, half of them by 3x3
// convolutions.
func (g *graph) fire(x string, in, squeeze int) string {
	expand := 4 * squeeze
	x = g.relu(g.convolution(x, conv{in: in, out: squeeze, kernel: 1, stride: 1, bias: true}))
	one := g.relu(g.convolution(x, conv{in: squeeze, out: expand, kernel: 1, stride: 1, bias: true}))
	three := g.relu(g.convolution(x, conv{in: squeeze, out: expand, kernel: 3, stride: 1, pad: 1, bias: true}))
	return g.node("Concat", []string{one, three}, integer("axis", 1))
}
