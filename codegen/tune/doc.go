// Package tune decides what of a model is stored more finely than its precision says, so that
// outputs are as near to the model in float64 as the description or the precision asks.
//
//	c, err := tune.Choose(m, tune.Options{})                                            // m: description and weights
//	p, err = passes.Run(p, passes.Options{Precision: c.Stored(described), Smooth: c.Smooth()}) // c may be nil
//
// A [Choice] is made in steps, a file each: smooth gives norms a gain and a bias, sensitivity
// judges what the rounding of each module does to each output, search looks for the cheapest
// formats of modules, measure runs the model with them. What a format costs is its bytes, and its
// time in a row of [Speeds].
//
// It runs programs in the interpreter alone. What is compiled of a choice is judged by its
// user.
package tune
