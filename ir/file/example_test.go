package file_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/multiway-go/multiway/ir/file"
)

// The files of one result get their names together.
func ExampleSet() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	var set file.Set
	defer set.Abandon() // does nothing after Commit
	for _, name := range []string{"a.txt", "b.txt"} {
		if err := set.Write(filepath.Join(dir, name), 0o666, file.Bytes([]byte("text of "+name))); err != nil {
			fmt.Println(err)
			return
		}
	}
	_, err = os.Stat(filepath.Join(dir, "a.txt"))
	fmt.Println("before Commit there is one:", err == nil)
	if err := set.Commit(); err != nil {
		fmt.Println(err)
		return
	}
	text, err := file.Read(filepath.Join(dir, "b.txt"), 1<<10)
	fmt.Printf("%s %v\n", text, err)
	_, err = file.Read(filepath.Join(dir, "b.txt"), 4)
	fmt.Println(err != nil)
	// Output:
	// before Commit there is one: false
	// text of b.txt <nil>
	// true
}
