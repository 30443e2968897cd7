package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/ir/precision"
)

// problem is an error about a field, without its position in the file.
type problem struct {
	path, text string
}

func (p *problem) Error() string { return p.text }

func wrong(path, format string, args ...any) *problem {
	return &problem{path, path + fmt.Sprintf(format, args...)}
}

// Complete fills in the defaults and checks every field, as [Parse] does. It may be called
// again.
func (d *Description) Complete() error {
	if p := d.complete(); p != nil {
		return p
	}
	return nil
}

// complete is Complete with an error that has no position in the file.
func (d *Description) complete() *problem {
	for _, f := range []func() *problem{
		d.completeFamily, d.completeSizes, d.completeTasks,
		d.completeEntries, d.completeLimits, d.completePreprocess, d.completeName, d.completeSource, d.completePrecision, d.checkStem,
	} {
		if p := f(); p != nil {
			return p
		}
	}
	return nil
}

func (d *Description) completeSource() *problem {
	if d.Checkpoint != "" && d.Seed != nil {
		return wrong("seed", " and checkpoint are both given; the weights come from one of them: remove the other")
	}
	return nil
}

// checkStem refuses a stem whose tensors the layout of the checkpoint does not list. The description must be complete.
func (d *Description) checkStem() *problem {
	s := d.Structure()
	for i, m := range s.Modalities {
		if m.Stem == nil {
			continue
		}
		weights := d.trunk().state.weights
		for _, f := range []struct {
			name, weight string
			given        bool
		}{{"stem", "proj.w", true}, {"stem_norm", "ln.g", m.StemNorm > 0}} {
			if f.given && weights[m.Name+".embed.stem0."+f.weight] == nil {
				return wrong(fmt.Sprintf("modalities[%d].%s", i, f.name), " is given, but layout %s has no tensors for it; remove it", s.Keys.layout().name)
			}
		}
	}
	return nil
}

// SetPrecision sets the precision of all weights, without exceptions.
func (d *Description) SetPrecision(word string) error {
	m := precision.Uniform(word)
	if err := m.Check(); err != nil {
		return err
	}
	d.Precision = m
	return nil
}

// completePrecision checks that every module in precision.keep exists. The rest of the
// description must be complete.
func (d *Description) completePrecision() *problem {
	if d.Precision.Default == "" {
		d.Precision.Default = precision.F32
	}
	for _, k := range d.Precision.Overrides {
		path := "precision.keep." + k.Module
		if err := k.Check(); err != nil {
			return &problem{path, fmt.Sprintf("precision.keep: %v", err)}
		}
		if !d.has(k) {
			return &problem{path, fmt.Sprintf("precision.keep: no matrix or table of the model is called %s; names are such as l0, l%d.ffn, l0.attn.out, %s",
				k.Module, d.Sizes.Layers-1, d.Structure().Modalities[0].Name+".embed")}
		}
	}
	if err := d.Precision.Check(); err != nil {
		return &problem{"precision", err.Error()}
	}
	d.TuneLevel = cmp.Or(d.TuneLevel, string(asm.AVX2))
	if levels := tuneLevels(); !slices.Contains(levels, d.TuneLevel) {
		return wrong("tune.level", ": %s", unknown("level", d.TuneLevel, levels))
	}
	return nil
}

// tuneLevels lists the CPU levels that a model can be tuned for: the ones with assembly
// kernels.
func tuneLevels() []string {
	var names []string
	for _, l := range asm.Levels {
		if l.Base != "" {
			names = append(names, string(l.ISA))
		}
	}
	return names
}

// has reports whether a matrix or table of the model is in the module.
func (d *Description) has(k precision.Override) bool {
	for name, s := range d.trunk().state.weights {
		if len(s.shape) == 2 && strings.HasSuffix(name, ".w") && k.Names(name) {
			return true
		}
	}
	return false
}
