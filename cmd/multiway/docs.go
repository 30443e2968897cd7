package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/ir/model"
)

func docsCommand(stdout io.Writer) *cobra.Command {
	var asJSON bool
	description := &cobra.Command{
		Use:   "description",
		Short: "Every key of a model's description: meaning, values, default, example",
		Long: `description prints every key of a model's description: its meaning, valid values, default,
and a line with an example. Keys of the items of a list have [] in their names; words in
capitals stand for names that the description chooses. Other keys are refused.`,
		Args: arguments(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			var b bytes.Buffer
			if asJSON {
				if err := json.NewEncoder(&b).Encode(model.Fields()); err != nil {
					return err
				}
			} else {
				printFields(&b)
			}
			_, err := b.WriteTo(stdout)
			return err
		},
	}
	description.Flags().BoolVar(&asJSON, "json", false, "print the list as JSON")
	c := &cobra.Command{
		Use:   "docs",
		Short: "Print a page of the documentation",
		Args:  arguments(0, 0, ""),
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(description)
	return c
}

// section is a mapping of a description, such as preprocess, with the documentation of its keys.
type section struct {
	path    string // as in their paths; "" = the description itself
	meaning string
	fields  []model.Field
}

// sections lists the mappings of a description. The preprocessing of pictures comes first, because nothing
// reports an error when it is wrong.
func sections() []section {
	var all []section
	fields := model.Fields()
	for _, f := range fields {
		path := f.Path[:max(0, strings.LastIndex(f.Path, "."))]
		i := slices.IndexFunc(all, func(s section) bool { return s.path == path })
		if i < 0 {
			i = len(all)
			all = append(all, section{path: path})
			whole := strings.TrimSuffix(strings.TrimSuffix(path, ".TASK"), "[]")
			if of := slices.IndexFunc(fields, func(f model.Field) bool { return f.Path == whole }); of >= 0 {
				all[i].meaning = fields[of].Meaning
			}
		}
		all[i].fields = append(all[i].fields, f)
	}
	first := slices.IndexFunc(all, func(s section) bool { return s.path == "preprocess" })
	return slices.Concat(all[first:first+1], all[:first], all[first+1:])
}

// values returns the text that documents which values a key may have: its kind, and the legal
// values if they are limited.
func values(f model.Field) string {
	if f.Values == "" {
		return f.Kind
	}
	return f.Kind + ": " + f.Values
}

// printFields prints the documentation of all keys of a description as plain text, in lines of at
// most columns.
func printFields(out io.Writer) {
	for i, s := range sections() {
		if i > 0 {
			fmt.Fprintln(out)
		}
		if s.path != "" {
			for _, line := range folded(s.path+": "+s.meaning, columns) {
				fmt.Fprintln(out, line)
			}
			fmt.Fprintln(out)
		}
		for _, f := range s.fields {
			fmt.Fprintln(out, f.Path)
			for _, text := range []string{f.Meaning, "values:  " + values(f), "default: " + f.Default} {
				for _, line := range folded(text, columns-4) {
					fmt.Fprintf(out, "    %s\n", line)
				}
			}
			fmt.Fprintf(out, "    example: %s\n", f.Example)
		}
	}
}

// folded breaks a text into lines of at most so many columns, unless a word is longer.
func folded(text string, columns int) []string {
	var lines []string
	for len(text) > columns {
		at := strings.LastIndexByte(text[:columns+1], ' ')
		if at < 3 { // no space but those of the indent
			break
		}
		lines, text = append(lines, text[:at]), "  "+text[at+1:]
	}
	return append(lines, text)
}

// markFields prints the documentation of all keys of a description as tables in Markdown.
func markFields(out io.Writer) {
	cell := strings.NewReplacer("|", `\|`, "*", `\*`, "<", "&lt;", "_", `\_`)
	for i, s := range sections() {
		if i > 0 {
			fmt.Fprintln(out)
		}
		if s.path != "" {
			fmt.Fprintf(out, "`%s`: %s.\n\n", s.path, cell.Replace(s.meaning))
		}
		fmt.Fprint(out, "| key | meaning | values | default | example |\n|---|---|---|---|---|\n")
		for _, f := range s.fields {
			fmt.Fprintf(out, "| `%s` | %s | %s | %s | `%s` |\n",
				f.Path[max(0, strings.LastIndex(f.Path, ".")+1):], cell.Replace(f.Meaning), cell.Replace(values(f)), cell.Replace(f.Default), f.Example)
		}
	}
}
