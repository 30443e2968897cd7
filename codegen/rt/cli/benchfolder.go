package cli

import (
	"cmp"
	"context"
	"fmt"
	"image"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/bench"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/imagefile"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/ir/file"
)

// maxBenchPictures is the number of pictures of a folder that are timed.
const maxBenchPictures = 1000

// folderTimes holds mean times per picture in ms, by stage, one picture after the other, and
// the rate in pictures per second when they are read in parallel with the model, as in embed
// and classify.
type folderTimes struct {
	Folder     string  `json:"folder"`
	Pictures   int     `json:"pictures"`
	Failed     int     `json:"failed"`
	Megapixels float64 `json:"megapixels"` // mean per picture
	Read       float64 `json:"read_ms"`    // the file into memory
	Decode     float64 `json:"decode_ms"`  // to RGB, turned upright
	Resize     float64 `json:"resize_ms"`  // to the model's input
	Model      float64 `json:"model_ms"`   // one picture per call
	Entry      string  `json:"entry"`
	Threads    int     `json:"threads"`
	Rate       float64 `json:"pictures_per_second"`
}

// benchFolder times the stages from a folder's picture files to the model's output.
func (a *App) benchFolder(ctx context.Context, path string, o bench.Options) error {
	if len(o.Threads) > 1 || len(o.Levels) > 1 {
		return Usagef("--folder goes with one value of --threads and one of --level")
	}
	m, err := a.openFirst(o)
	if err != nil {
		return err
	}
	defer m.Close()
	f := cmp.Or(m.Package().Find(retrieval, "image"), m.Package().Find(classification, "image"))
	if len(o.Entries) > 0 {
		f = m.Func(o.Entries[0])
	}
	if f == nil || f.Image == 0 || f.Text || m.Input().Pixels == nil {
		return Usagef("--folder: the model has no function of pictures alone, or --entry names another; want one such as vision_retrieval")
	}
	read := a.decodeOptions(m)
	list := a.pictures(path, read)
	list = list[:min(len(list), maxBenchPictures)]
	t := folderTimes{Folder: path, Entry: f.Name, Threads: m.Info().Threads}
	bar := a.Progress("timing", "pictures", len(list))
	defer bar.Done()
	s := m.NewSession()
	defer s.Close()
	w := stages{model: m, session: s, f: f, read: read}
	var good []item
	for _, it := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := it.err
		if err == nil && len(good) == 0 { // the first picture runs once untimed, to warm up
			err = w.run(it.file, &folderTimes{})
		}
		if err == nil {
			err = w.run(it.file, &t)
		}
		bar.Add(1)
		if err != nil {
			t.Failed++
			a.leaves(bar, it.name, err)
			continue
		}
		good = append(good, it)
	}
	bar.Done()
	a.reportLeft()
	if len(good) == 0 {
		return fmt.Errorf("none of %d pictures of %s could be timed", t.Failed, file.Quote(path))
	}
	t.Pictures = len(good)
	for _, x := range []*float64{&t.Read, &t.Decode, &t.Resize, &t.Model, &t.Megapixels} {
		*x /= float64(len(good))
	}
	all := &stream{App: a, m: m, images: f, what: "timing", total: len(good)}
	start := time.Now()
	if _, err := all.run(ctx, slices.Values(good), func(*item, []float32) error { return nil }); err != nil {
		return err
	}
	t.Rate = float64(len(good)) / time.Since(start).Seconds()
	if a.json {
		return a.Print(t)
	}
	return t.print(a)
}

func (t *folderTimes) print(a *App) error {
	fmt.Fprintf(a.Out, "%d pictures of %s, %.1f megapixels in the mean; ms a picture, one after the other, with %d threads\n", t.Pictures, file.Quote(t.Folder), t.Megapixels, t.Threads)
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range []struct {
		stage string
		ms    float64
	}{{"read", t.Read}, {"decode to RGB", t.Decode}, {"resize", t.Resize}, {t.Entry, t.Model}, {"all", t.Read + t.Decode + t.Resize + t.Model}} {
		fmt.Fprintf(w, "%s\t%.2f\t\n", row.stage, row.ms)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.Out, "%.1f pictures a second, read and decoded side by side while the model runs\n", t.Rate)
	return err
}

// stages runs pictures through the stages one at a time.
type stages struct {
	model   *task.Model
	session *task.Session
	f       *exec.Func
	read    imagefile.Options

	scratch pixel.Scratch
	rgb     pixel.RGB
	x       []float32
}

// run adds the time in ms of each stage to t.
func (w *stages) run(path string, t *folderTimes) error {
	limit := w.read.MaxBytes
	if limit == 0 {
		limit = imagefile.DefaultMaxBytes
	}
	p := w.model.Input().Pixels
	begun := time.Now()
	lap := func(sum *float64) {
		now := time.Now()
		*sum += float64(now.Sub(begun)) / 1e6
		begun = now
	}
	data, err := file.Read(path, limit)
	if err != nil {
		return err
	}
	var times folderTimes
	lap(&times.Read)
	var img image.Image
	if img, _, err = imagefile.Bytes(data, w.read); err == nil {
		err = pixel.ToRGB(&w.rgb, img, p.Alpha, &w.scratch)
	}
	if err != nil {
		return err
	}
	lap(&times.Decode)
	if w.x, err = p.Append(w.x[:0], &w.rgb, &w.scratch); err != nil {
		return err
	}
	lap(&times.Resize)
	if _, err := w.session.Run(w.f, []rt.Seq{{Image: w.x}}); err != nil {
		return err
	}
	lap(&times.Model)
	t.Read, t.Decode, t.Resize, t.Model = t.Read+times.Read, t.Decode+times.Decode, t.Resize+times.Resize, t.Model+times.Model
	t.Megapixels += float64(w.rgb.W) * float64(w.rgb.H) / 1e6
	return nil
}
