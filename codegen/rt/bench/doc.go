// Package bench times a compiled model in its own process, beside what the machine
// can do: its peak of fused multiply-adds and its read bandwidth.
//
// [Run] times each function of a package, or of several packages in turns, at each text
// length, batch, number of threads and CPU level, and returns a [Report]: the median and the spread of each, the share
// of the peak, and the roofline time max(FLOPs/peak, bytes/bandwidth) with the ratio to
// it. FLOPs and bytes are what the compiler counted (rt.Cost). Peak and bandwidth are
// sampled before each measurement and the best counts, so that a ratio compares times
// of one process.
//
//	r, err := bench.Run(ctx, []bench.Subject{{&model.Package, open}}, bench.Options{Threads: []int{1, 2}})
//	r.Print(os.Stdout)
//
// Options.Ops says where the time of a forward pass went, Options.Kernels times each
// piece of work alone. Other programs compare times through Report's JSON. It is no
// place for reading pictures or texts: inputs are random.
package bench

//go:generate go test ../.. -run Measuring -update
