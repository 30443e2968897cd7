package exec

// Info describes a function. Its JSON form is part of the output of commands.
type Info struct {
	Name    string       `json:"name"`
	Image   int          `json:"image_floats,omitempty"`
	Text    bool         `json:"text"`
	Fixed   int          `json:"fixed_rows"`
	Outputs []OutputInfo `json:"outputs"`
	Arena   int64        `json:"arena_bytes"`
}

// OutputInfo describes an output: Fixed rows per sequence and, if Text is set, one per token.
type OutputInfo struct {
	Name  string `json:"name"`
	Fixed int    `json:"fixed_rows"`
	Text  bool   `json:"text"`
	Cols  int    `json:"cols"`
}

// Info returns a description of the function.
func (f *Func) Info() Info {
	i := Info{Name: f.Name, Image: f.Image, Text: f.Text, Fixed: f.Fixed, Arena: int64(f.Arena)}
	for _, o := range f.Outputs {
		out := OutputInfo{Name: o.Name, Cols: o.Cols}
		for _, s := range o.Sections {
			out.Fixed += s.C
			out.Text = out.Text || s.T
		}
		i.Outputs = append(i.Outputs, out)
	}
	return i
}
