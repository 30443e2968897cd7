package codegen

import (
	"reflect"

	"github.com/dave/jennifer/jen"
)

// field is a field of a composite literal. Its value is code, or a constant.
type field struct {
	name  string
	value any
}

// fields emits the fields of a literal in their order, on one line. It leaves out fields that are nil or a zero constant.
func fields(list ...field) []jen.Code {
	var all []jen.Code
	for _, f := range list {
		switch v := f.value.(type) {
		case nil:
		case jen.Code:
			all = append(all, jen.Id(f.name).Op(":").Add(v))
		default:
			if !reflect.ValueOf(v).IsZero() {
				all = append(all, jen.Id(f.name).Op(":").Lit(v))
			}
		}
	}
	return all
}

// onLines puts each element of a literal on a line of its own.
func onLines(list []jen.Code) []jen.Code {
	var all []jen.Code
	for _, c := range list {
		all = append(all, jen.Line().Add(c))
	}
	if len(all) > 0 {
		all = append(all, jen.Line())
	}
	return all
}
