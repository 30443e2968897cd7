package app

import (
	"strings"

	"github.com/multiway-go/multiway/codegen/rt"
)

// The tasks of a picture and a text, and the head that nlvr2 has, as the compiler names them.
const (
	answering  = "vqa"
	reasoning  = "nlvr2"
	matching   = "itm"
	second     = "_second"
	reasonHead = "reason_head"
)

// pair returns the task's function of a picture and a text, nil if there is none.
func (a *App) pair(name string) *rt.Func {
	if a.Package == nil {
		return nil
	}
	for _, f := range a.Package.Funcs {
		if strings.HasSuffix(f.Name, "_"+name) && f.Image > 0 && f.Text {
			return f
		}
	}
	return nil
}
