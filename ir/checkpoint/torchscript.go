package checkpoint

import (
	"errors"
	"strings"
)

// A TorchScript archive is a zip archive of torch.jit.save with constants.pkl beside data.pkl. Its pickle is a module: an
// instance of a class of the package __torch__, built from a dict of attributes, which are tensors, other values and modules.
// OpenAI publishes CLIP in such archives. The code in them is not read.

// scriptPackage is the prefix of the classes of modules, which the archive itself defines.
const scriptPackage = "__torch__."

// maxModules bounds the nesting of modules in an archive.
const maxModules = 32

// pyModule is a module of a TorchScript archive.
type pyModule struct{ attributes *pyDict }

// isModule reports whether the class is one of a TorchScript module.
func (g pyGlobal) isModule() bool { return strings.HasPrefix(g.module, scriptPackage) }

// build sets the attributes of the module.
func (m *pyModule) build(state any) error {
	d, ok := state.(*pyDict)
	if !ok {
		return errors.New("a module is built from a " + kindOf(state) + ", want a dict of its attributes")
	}
	m.attributes = d
	return nil
}

// stateDict returns the tensors of the module and of the modules in it by their names in a state dict: the paths of
// attributes, joined by dots. A module that is an attribute several times occurs several times.
func (m *pyModule) stateDict(b *budget) (*pyDict, error) {
	all := &pyDict{}
	return all, m.collect("", 0, all, b)
}

func (m *pyModule) collect(path string, depth int, all *pyDict, b *budget) error {
	if depth == maxModules {
		return errors.New("modules are nested more than 32 deep, or contain themselves")
	}
	if m.attributes == nil {
		return nil // a module without attributes
	}
	if err := b.spend(1 + 2*len(m.attributes.keys) + len(path)); err != nil {
		return err
	}
	for _, name := range m.attributes.keys {
		key := joinKey(path, name)
		if len(key) > maxName {
			return errors.New("a path of attributes is longer than a name may be")
		}
		switch v := m.attributes.vals[name].(type) {
		case *torchTensor:
			if err := all.set(b, key, v); err != nil {
				return err
			}
		case *pyModule:
			if err := v.collect(key, depth+1, all, b); err != nil {
				return err
			}
		}
	}
	return nil
}
