package networks

// resNet50 is ResNet-50 (He et al., arXiv 1512.03385) with the strides in the
// 3x3 convolutions, as it is usually trained today.
func resNet50(g *graph) {
	g.input("data_0", "[N,3,224,224]")
	x := g.normalized("data_0", conv{in: 3, out: 64, kernel: 7, stride: 2, pad: 3}, 1)
	x = g.maxPool(g.relu(x), 3, 2, 1)
	in := 64
	for stage, blocks := range []int{3, 4, 6, 3} {
		width := 64 << stage
		for block := range blocks {
			stride := 1
			if block == 0 && stage > 0 {
				stride = 2
			}
			x = g.bottleneck(x, in, width, stride, block == 0)
			in = 4 * width
		}
	}
	x = g.node("AveragePool", []string{x}, integers("kernel_shape", 7, 7), integers("strides", 1, 1))
	x = g.node("Flatten", []string{x}, integer("axis", 1))
	x = g.node("Gemm", []string{x, g.weights(0.1, 1000, in), g.constant(0, 1000)}, integer("transB", 1))
	g.output(g.softmax(x), "[N,1000]")
}

// bottleneck is three convolutions around a shortcut, which is a convolution
// too where project says so.
func (g *graph) bottleneck(x string, in, width, stride int, project bool) string {
	out := 4 * width
	y := g.relu(g.normalized(x, conv{in: in, out: width, kernel: 1, stride: 1}, 1))
	y = g.relu(g.normalized(y, conv{in: width, out: width, kernel: 3, stride: stride, pad: 1}, 1))
	// A small factor at each branch's end: sixteen of them add up, and the
	// softmax behind them should not saturate.
	y = g.normalized(y, conv{in: width, out: out, kernel: 1, stride: 1}, 0.25)
	if project {
		x = g.normalized(x, conv{in: in, out: out, kernel: 1, stride: stride}, 1)
	}
	return g.relu(g.node("Sum", []string{y, x}))
}

// normalized is a convolution and the batch normalisation behind it.
func (g *graph) normalized(x string, c conv, scale float64) string {
	y := g.convolution(x, c)
	return g.node("BatchNormalization",
		[]string{y, g.constant(scale, c.out), g.constant(0, c.out), g.constant(0, c.out), g.constant(1, c.out)},
		float("epsilon", 1e-5))
}
