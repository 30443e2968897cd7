package cli

import (
	"cmp"
	"context"
	"fmt"
	"image"
	"iter"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/bench"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/flow"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/ir/file"
)

// maxBenchPictures is the number of pictures of a folder that are timed.
const maxBenchPictures = 1000

// folderTimes holds the mean times per picture in ms, by stage, first of one picture after the other on one core, then
// of all as embed and classify run them, and what these say of the rate.
type folderTimes struct {
	Folder     string  `json:"folder"`
	Pictures   int     `json:"pictures"`
	Failed     int     `json:"failed"`
	Megapixels float64 `json:"megapixels"` // mean per picture
	Read       float64 `json:"read_ms"`    // the file into memory
	Decode     float64 `json:"decode_ms"`  // to planes or pixels
	Resize     float64 `json:"resize_ms"`  // to the model's input, turned upright
	Model      float64 `json:"model_ms"`   // in batches of the length that embed uses
	Entry      string  `json:"entry"`
	Threads    int     `json:"threads"`
	Rate       float64 `json:"pictures_per_second"`

	Bound float64 `json:"bound_per_second"` // pictures that the cores can decode, resize and compute
	Busy  float64 `json:"busy"`             // share of the time in which the threads had work
	By    string  `json:"bound_by"`         // what keeps the rate from being higher
	Run   struct {
		Memory  float64 `json:"memory_ms"` // waiting until other pictures are decoded, because of the limit of memory
		Read    float64 `json:"read_ms"`   // several at a time
		Prepare float64 `json:"prepare_ms"`
		Compute float64 `json:"compute_ms"`
	} `json:"together"`
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
	list := a.pictures(path, a.decodeOptions(m))
	list = list[:min(len(list), maxBenchPictures)]
	t := folderTimes{Folder: path, Entry: f.Name, Threads: m.Info().Threads}
	bar := a.Progress("timing", "pictures", len(list))
	defer bar.Done()
	all := &stream{App: a, m: m, images: f, what: "timing"}
	s := m.NewSessions(t.Threads)[0]
	defer s.Close()
	w := stages{model: m, session: s, f: f, batch: all.batch()}
	var good []item
	for _, it := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := it.err
		if err == nil && len(good) == 0 { // the first picture runs once untimed, to warm up
			err = w.run(&it, &folderTimes{})
			if err == nil {
				err = w.compute(&folderTimes{})
			}
		}
		if err == nil {
			err = w.run(&it, &t)
		}
		bar.Add(1)
		if err != nil {
			t.Failed++
			a.leaves(bar, it.name, err)
			continue
		}
		good = append(good, it)
	}
	if err := w.compute(&t); err != nil {
		return err
	}
	bar.Done()
	a.reportLeft()
	if len(good) == 0 {
		return fmt.Errorf("none of %d pictures of %s could be timed", t.Failed, file.Quote(path))
	}
	all.total = len(good)
	start := time.Now()
	if _, err := all.run(ctx, slices.Values(good), func(*item, []float32) error { return nil }); err != nil {
		return err
	}
	t.conclude(all, time.Since(start))
	if a.json {
		return a.Print(t)
	}
	return t.print(a)
}

// conclude makes means of the sums, and compares them with a run of all pictures.
func (t *folderTimes) conclude(all *stream, took time.Duration) {
	n := float64(all.total)
	t.Pictures = all.total
	for _, x := range []*float64{&t.Read, &t.Decode, &t.Resize, &t.Model, &t.Megapixels} {
		*x /= n
	}
	ms := func(d time.Duration) float64 { return float64(d) / 1e6 / n }
	of := all.times
	t.Run.Memory, t.Run.Read, t.Run.Prepare, t.Run.Compute = ms(of.Memory), ms(of.Read), ms(of.Prepare), ms(of.Compute)
	t.Rate = n / took.Seconds()
	t.Bound = 1e3 * float64(min(t.Threads, kernel.Cores())) / (t.Decode + t.Resize + t.Model)
	t.Busy = float64(of.Prepare+of.Compute) / float64(took) / float64(t.Threads)
	readers := flow.Readers * took
	switch {
	case t.Busy >= 0.9:
		most := slices.MaxFunc(t.stages(), func(a, b stage) int { return cmp.Compare(a.ms, b.ms) })
		t.By = "the cores, most of all by " + most.name
	case of.Memory > readers/2:
		t.By = "memory: pictures wait until others are decoded"
	case of.Read > readers/2:
		t.By = "reading"
	default:
		t.By = "the number of pictures: there are few for so many threads"
	}
}

func (t *folderTimes) print(a *App) error {
	fmt.Fprintf(a.Out, "%d pictures of %s, %.1f megapixels in the mean; ms a picture, one after the other on one core\n", t.Pictures, file.Quote(t.Folder), t.Megapixels)
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	sum := t.Read
	for _, s := range t.stages() {
		sum += s.ms
	}
	for _, s := range slices.Concat([]stage{{"read", t.Read}}, t.stages(), []stage{{"all", sum}}) {
		fmt.Fprintf(w, "%s\t%.2f\t%.0f %%\t\n", s.name, s.ms, 100*s.ms/sum)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.Out, "%.1f pictures a second side by side on %d threads, %.2f of the %.1f that decode, resize and %s allow; threads busy %.0f %% of the time\nbound by %s\n",
		t.Rate, t.Threads, t.Rate/t.Bound, t.Bound, t.Entry, 100*t.Busy, t.By)
	return err
}

// stage is the time of what takes a core, in ms a picture.
type stage struct {
	name string
	ms   float64
}

func (t *folderTimes) stages() []stage {
	return []stage{{"decode", t.Decode}, {"resize", t.Resize}, {t.Entry, t.Model}}
}

// stages runs pictures through the stages one at a time, but for the model, which takes a batch.
type stages struct {
	model   *task.Model
	session *task.Session
	f       *exec.Func
	batch   int

	scratch pixel.Scratch
	tensors []rt.Seq // that wait for the model
}

// run adds the time in ms of each stage to t.
func (w *stages) run(it *item, t *folderTimes) error {
	var times folderTimes
	data, err := timed(&times.Read, it.load)
	if err != nil {
		return err
	}
	img, err := timed(&times.Decode, func() (image.Image, error) { return it.decode(data) })
	if err != nil {
		return err
	}
	strips := 0.0
	if m, ok := img.(*pixel.Stream); ok {
		m.Strips = timedStrips(&strips, m.Strips)
	}
	x, err := timed(&times.Resize, func() ([]float32, error) { return w.model.Input().Pixels.Append(nil, img, &w.scratch) })
	if err != nil {
		return err
	}
	t.Read, t.Decode, t.Resize = t.Read+times.Read, t.Decode+times.Decode+strips, t.Resize+times.Resize-strips
	t.Megapixels += float64(img.Bounds().Dx()) * float64(img.Bounds().Dy()) / 1e6
	if w.tensors = append(w.tensors, rt.Seq{Image: x}); len(w.tensors) == w.batch {
		return w.compute(t)
	}
	return nil
}

// compute runs the model on the pictures that wait for it.
func (w *stages) compute(t *folderTimes) error {
	_, err := timed(&t.Model, func() (*rt.Result, error) { return w.session.Run(w.f, w.tensors) })
	w.tensors = w.tensors[:0]
	return err
}

// timed adds the time of f in ms to sum.
func timed[R any](sum *float64, f func() (R, error)) (R, error) {
	begun := time.Now()
	defer func() { *sum += float64(time.Since(begun)) / 1e6 }()
	return f()
}

// timedStrips adds the time that strips take to sum, without that of their consumer.
func timedStrips(sum *float64, strips iter.Seq2[pixel.Strip, error]) iter.Seq2[pixel.Strip, error] {
	return func(yield func(pixel.Strip, error) bool) {
		begun := time.Now()
		lap := func() { *sum += float64(time.Since(begun)) / 1e6 }
		defer func() { lap() }()
		strips(func(s pixel.Strip, err error) bool {
			lap()
			defer func() { begun = time.Now() }()
			return yield(s, err)
		})
	}
}
