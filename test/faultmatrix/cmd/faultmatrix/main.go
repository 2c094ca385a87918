// Command faultmatrix prints the fault matrix, writes it to a file, or checks that a file holds it.
//
//	go run -C test/faultmatrix ./cmd/faultmatrix -write ../../docs/internals/fault-matrix.md
//	go run -C test/faultmatrix ./cmd/faultmatrix -check ../../docs/internals/fault-matrix.md
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/livemigration/livemigration-go/test/faultmatrix"
)

func main() {
	write := flag.String("write", "", "the `file` to write the matrix to")
	check := flag.String("check", "", "the `file` to compare with the matrix")
	flag.Parse()
	if err := run(*write, *check); err != nil {
		fmt.Fprintln(os.Stderr, "faultmatrix:", err)
		os.Exit(1)
	}
}

func run(write, check string) error {
	document := faultmatrix.Document()
	switch {
	case write != "" && check != "":
		return errors.New("-write and -check exclude each other")
	case write != "":
		if err := os.MkdirAll(filepath.Dir(write), 0o755); err != nil {
			return err
		}
		return os.WriteFile(write, []byte(document), 0o644)
	case check != "":
		return compare(check, document)
	default:
		fmt.Print(document)
		return nil
	}
}

// compare names the first line that differs.
func compare(path, document string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	have, want := strings.Split(string(data), "\n"), strings.Split(document, "\n")
	for i := range max(len(have), len(want)) {
		if h, w := line(have, i), line(want, i); h != w {
			return fmt.Errorf("%s is not current, from line %d on:\nhave: %s\nwant: %s\nWrite it anew with -write", path, i+1, h, w)
		}
	}
	return nil
}

func line(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(the end)"
}
