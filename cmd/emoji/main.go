// Command emoji is a compiled model: package generated/emoji, a small BEiT-3 trained on
// emoji drawings and their names, behind the commands of every generated binary, and two
// of its own:
//
//	eval    recall and accuracy over the held-out drawings that it carries
//	demo    a dozen searches among them, as a table and a page
//
// Its search looks through these drawings unless it is given a folder.
package main

import (
	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/cli"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/generated/emoji"
)

// knows says what the model is not for; help texts and the results of demo quote it.
const knows = `The model knows drawings of emoji only: what it says of photos, and of other drawings, is
nonsense. As a text "a cat" works better than "cat".`

var binary = cli.Binary{
	Name:    "emoji",
	Short:   "Find emoji drawings by words, and words for drawings",
	Knows:   knows,
	Package: emoji.Package(),
	Open:    open,
	Bundled: func() ([]cli.Picture, error) {
		h, err := loadHeldOut()
		if err != nil {
			return nil, err
		}
		return h.pictures(), nil
	},
	Extra: func(a *cli.App) []*cobra.Command { return []*cobra.Command{evalCommand(a), demoCommand(a)} },
}

func main() { cli.Main(binary) }

func open(weights string, opts ...rt.Option) (*task.Model, error) {
	open := emoji.New
	if weights != "" {
		open = func(opts ...rt.Option) (*emoji.Model, error) { return emoji.Open(weights, opts...) }
	}
	m, err := open(opts...)
	if err != nil {
		return nil, err
	}
	return m.Task(), nil
}
