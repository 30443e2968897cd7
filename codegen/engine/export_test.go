package engine

import "path/filepath"

// Executables lists what Engines has compiled, or begun to.
func Executables(c *Engines) ([]string, error) { return filepath.Glob(filepath.Join(c.dir, "*.exe*")) }
