// Package bench times a compiled model in its own process and compares it with the limits of
// the machine: the peak of fused multiply-adds (FMA), at the best of the levels that are timed, and
// the read bandwidth.
//
// [Run] times each function of a package, or of several packages in turns, for each text
// length, batch size, number of threads and CPU level. It returns a [Report] with the median
// and spread of each, the share of the peak, and the roofline time max(FLOPs/peak,
// bytes/bandwidth) with the ratio to it. In the roofline, products of rounded activations (int8,
// bf16dot) have a peak of their own: the rate of the level's tiles, with operands in the
// first-level cache. FLOPs and bytes are counted by the compiler
// (exec.Cost). Peak and bandwidth are sampled before, between and after the calls of each
// measurement, and the best sample counts, so that a ratio compares times of one process.
//
// On a machine with other load, samples of one kind differ. Report says so (Busy, Signs) and
// marks results whose runs differ by more than [BusySpread] percent; the tables omit shares of
// a peak that is unreliable by this measure, and ratios to it.
//
//	r, err := bench.Run(ctx, []bench.Subject{{model.Package(), open}}, bench.Options{Threads: []int{1, 2}})
//	r.Print(os.Stdout)
//
// Options.Ops breaks the time of a forward pass down by step; Options.Kernels times each kernel
// alone. Other programs read the Report as JSON. Inputs are random: the package does not read
// images or texts.
package bench

//go:generate go test ../../library -run Homes -update
