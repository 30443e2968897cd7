package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/imagefile"
	"github.com/multiway-go/multiway/ir/file"
)

func (a *App) infoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "info",
		Short: "Show the model: its functions, sizes, limits, kernels and CPU level",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return a.info() },
	}
}

func (a *App) info() error {
	m, err := a.Open()
	if err != nil {
		return err
	}
	defer m.Close()
	i, in := m.Info(), m.Input()
	limit := a.decodeOptions(m).MaxPixels
	if limit == 0 {
		limit = imagefile.DefaultMaxPixels
	}
	if a.json {
		out := struct {
			Binary string `json:"binary"`
			rt.Info
			Picture   int    `json:"picture_size,omitempty"`
			Alpha     string `json:"picture_alpha,omitempty"` // treatment of transparency: white, black or drop
			MaxPixels int64  `json:"max_pixels,omitempty"`
			Classes   int    `json:"classes,omitempty"`
		}{Binary: a.Name, Info: i, Classes: len(in.Labels)}
		if in.Pixels != nil {
			out.Picture, out.Alpha, out.MaxPixels = in.Pixels.Size, in.Pixels.Alpha.String(), limit
		}
		return a.Print(out)
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "model\t%s\n", i.Package)
	fmt.Fprintf(w, "fingerprint\t%s\n", i.Fingerprint)
	fmt.Fprintf(w, "level\t%s (this CPU: %s)\n", i.Level, strings.Join(i.CPULevels, ", "))
	fmt.Fprintf(w, "threads\t%d\n", i.Threads)
	pages := ""
	if i.HugePages {
		pages = ", in huge pages"
	}
	fmt.Fprintf(w, "weights\t%s, %s, %s%s\n", bytesText(i.Weights), i.Precision, file.Quote(i.Source), pages)
	fmt.Fprintf(w, "arena\t%s at most\n", bytesText(i.ArenaBytes))
	if in.Pixels != nil {
		fmt.Fprintf(w, "pictures\t%dx%d (%s; alpha: %s), files of at most %d pixels\n", in.Pixels.Size, in.Pixels.Size, in.Pixels.Resize, in.Pixels.Alpha, limit)
	}
	if i.Vocab > 0 {
		fmt.Fprintf(w, "texts\tat most %d ids, vocabulary of %d\n", i.Text, i.Vocab)
	}
	if n := len(in.Labels); n > 0 {
		fmt.Fprintf(w, "classes\t%d\n", n)
	}
	fmt.Fprintf(w, "batches\tat most %d packed rows a pass\n", i.Rows)
	fmt.Fprint(w, "\nfunction\ttakes\treturns\tarena\n")
	for _, e := range i.Entries {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", e.Name, takes(e), returns(e), bytesText(e.Arena))
	}
	fmt.Fprint(w, "\nop\tkernel\n")
	for _, k := range i.Kernels {
		fmt.Fprintf(w, "%s\t%s\n", k.Op, k.Kernel)
	}
	return w.Flush()
}

func takes(e exec.Info) string {
	var s []string
	if e.Image > 0 {
		s = append(s, "picture")
	}
	if e.Text {
		s = append(s, "text")
	}
	return strings.Join(s, " and ")
}

func returns(e exec.Info) string {
	var s []string
	for _, o := range e.Outputs {
		rows := fmt.Sprint(o.Fixed)
		if o.Text {
			rows = strings.TrimPrefix(rows+"+T", "0+")
		}
		s = append(s, fmt.Sprintf("%s [%s,%d]", o.Name, rows, o.Cols))
	}
	return strings.Join(s, ", ")
}

func bytesText(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d B", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	default:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
}
