package livemigrationtest

import (
	"io"
	"strings"
)

// filler reads as a JSON object of n bytes that holds one long string, or as the first n bytes of a short one.
func filler(n int64) io.Reader {
	const head, tail = `{"padding":"`, `"}`
	padding := max(n-int64(len(head)+len(tail)), 0)
	whole := io.MultiReader(strings.NewReader(head), io.LimitReader(letters{}, padding), strings.NewReader(tail))
	return io.LimitReader(whole, n)
}

// letters reads as the same letter without end.
type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
