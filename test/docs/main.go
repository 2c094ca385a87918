// Command docs checks the documents of a repository: that what they link to exists, that what they tell readers to run
// exists, and that their Go code compiles.
//
//	go run -C test/docs . ../..
//
// It prints one line for each problem and ends with status 1 when there is one.
package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: docs ROOT")
		os.Exit(2)
	}
	compile, err := newCompiler()
	if err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
	problems, err := check(os.Args[1], compile)
	if err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
	for _, problem := range problems {
		fmt.Println(problem)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
}

// check returns what is wrong with the documents below root.
func check(root string, compile *compiler) ([]string, error) {
	documents, err := load(root)
	if err != nil {
		return nil, err
	}
	var problems []string
	for _, path := range sortedKeys(documents) {
		d := documents[path]
		report := func(line int, format string, args ...any) {
			problems = append(problems, fmt.Sprintf("%s:%d: %s", path, line, fmt.Sprintf(format, args...)))
		}
		checkLinks(root, documents, d, report)
		checkCommands(root, d, report)
		for _, b := range d.blocks {
			if b.language == "go" {
				compile.check(b, report)
			}
		}
	}
	return problems, nil
}

// load reads all documents and Go files below root, by their paths from there.
func load(root string) (map[string]*document, error) {
	documents := make(map[string]*document)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			hidden := strings.HasPrefix(entry.Name(), ".") && relative != "." && entry.Name() != ".github"
			if hidden || entry.Name() == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		read := map[string]func(path, text string) *document{".md": parse, ".go": parseComments}[filepath.Ext(path)]
		if read == nil {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(relative)
		documents[name] = read(name, string(text))
		return nil
	})
	return documents, err
}
