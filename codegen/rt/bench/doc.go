// Package bench times a compiled model in its own process, beside what the machine
// can do: its peak of fused multiply-adds and its read bandwidth.
//
// [Run] times each function of a package, or of several packages in turns, at each text
// length, batch, number of threads and CPU level, and returns a [Report]: the median and the spread of each, the share
// of the peak, and the roofline time max(FLOPs/peak, bytes/bandwidth) with the ratio to
// it. FLOPs and bytes are what the compiler counted (exec.Cost). Peak and bandwidth are
// read before, between and after the calls of each measurement and the best counts, so
// that a ratio compares times of one process.
//
// A machine that others use too gives itself away: figures of one kind differ. Report says
// so (Busy, Signs) and marks what has over [BusySpread] percent between its runs; the
// tables give no shares of a peak, and no ratios to it, that was read so differently.
//
//	r, err := bench.Run(ctx, []bench.Subject{{model.Package(), open}}, bench.Options{Threads: []int{1, 2}})
//	r.Print(os.Stdout)
//
// Options.Ops says where the time of a forward pass went, Options.Kernels times each
// piece of work alone. Other programs compare times through Report's JSON. It is no
// place for reading pictures or texts: inputs are random.
package bench

//go:generate go test ../../library -run Homes -update
