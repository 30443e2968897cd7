package rt

import (
	"fmt"
	"strings"

	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

// Option changes how a model is opened.
type Option func(*config) error

type config struct {
	level    string
	threads  int
	huge     bool
	verify   bool
	batching bool
}

// WithLevel asks for a CPU level (see [Package.Levels]) instead of the best one. A level
// that this CPU does not have is an error.
func WithLevel(name string) Option {
	return func(c *config) error {
		if name == "" {
			return fmt.Errorf("WithLevel: empty level; leave the option out for the best level, this CPU has %s", strings.Join(kernel.Levels(), ", "))
		}
		c.level = name
		return nil
	}
}

// maxThreads bounds WithThreads.
const maxThreads = 1024

// WithThreads sets the number of threads of a session, 1 to 1024; the default is [kernel.Cores].
func WithThreads(n int) Option {
	return func(c *config) error {
		if n < 1 || n > maxThreads {
			return fmt.Errorf("%d threads, want 1 to %d", n, maxThreads)
		}
		c.threads = n
		return nil
	}
}

// WithHugePages copies the weights into huge pages, which costs start-up time and
// memory and makes small batches faster. Info says whether the system gave them.
func WithHugePages() Option {
	return func(c *config) error { c.huge = true; return nil }
}

// WithVerify has all weights read and compared with the hash in their file when the model
// is opened, as Model.Verify does. It takes about as long as reading the file once.
func WithVerify() Option {
	return func(c *config) error { c.verify = true; return nil }
}
