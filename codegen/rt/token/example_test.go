package token_test

import (
	"fmt"
	"log"
	"os"

	"github.com/multiway-go/multiway/codegen/rt/token"
)

func Example() {
	data, err := os.ReadFile("../../../golden/testdata/tokenizer/tiny.spm")
	if err != nil {
		log.Fatal(err)
	}
	u, err := token.Load(data)
	if err != nil {
		log.Fatal(err)
	}
	const text = "Ａ photo of\ttwo dogs"
	fmt.Printf("%q\n", u.Pieces(text))
	fmt.Println(u.Encode(text, 64))
	fmt.Println(u.Encode(text, 5))
	fmt.Printf("%q\n", u.Decode(u.Encode("two dogs", 64)))
	// Output:
	// ["▁" "A" "▁photo" "▁of" "▁two" "▁dog" "s"]
	// [0 4 3 42 23 30 72 25 2]
	// [0 4 3 42 2]
	// "two dogs"
}
