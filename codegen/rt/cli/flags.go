package cli

import (
	"errors"
	"strconv"
	"strings"
)

// FlagError rewords the error of an invalid flag to say what the flag wants. The text may
// contain names of files.
func FlagError(err error) error {
	text := err.Error()
	var number *strconv.NumError
	if errors.As(err, &number) {
		want := "want a whole number"
		switch {
		case errors.Is(number, strconv.ErrRange):
			want = "the number is too large"
		case number.Func == "ParseFloat":
			want = "want a number"
		case number.Func == "ParseBool":
			want = "want true or false"
		}
		text = strings.Replace(text, number.Error(), want, 1)
	}
	if before, _, ok := strings.Cut(text, " flag: time: "); ok {
		text = before + " flag: want a time with its unit, such as 500ms or 2s"
	}
	return errors.New(strings.ReplaceAll(text, "\n", `\n`))
}
