// Package tune chooses the modules of a model to store in finer formats than its precision, so
// that outputs are as close to the model in float64 as the description or the precision asks.
//
//	c, err := tune.Choose(m, tune.Options{})                                            // m: description and weights
//	p, err = passes.Run(p, passes.Options{Precision: c.Stored(described), Smooth: c.Smooth()}) // c may be nil
//
// A [Choice] is made in steps, each in a file of its own: smooth gives norms a gain and a bias,
// sensitivity measures the effect of each module's rounding on each output, search looks for
// the cheapest formats of modules, and measure runs the model with them. The cost of a format
// is its bytes and, by the table [Speeds], its time.
//
// The package runs programs only in the interpreter. Package compile checks the compiled
// program.
package tune
