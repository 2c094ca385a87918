package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// compiler checks the types of Go code in documents. What a fragment uses and does not declare is in package scope, and so
// are the packages that it may import.
type compiler struct {
	files    *token.FileSet
	scope    *ast.File
	importer types.Importer
	packages map[string]string // name to path
}

const scopeFile = "scope/scope.go"

// newCompiler builds the packages that scope imports. It must run in the directory of this module.
func newCompiler() (*compiler, error) {
	c := &compiler{files: token.NewFileSet(), packages: make(map[string]string)}
	var err error
	if c.scope, err = parser.ParseFile(c.files, scopeFile, nil, parser.SkipObjectResolution); err != nil {
		return nil, err
	}
	var paths []string
	for _, imported := range c.scope.Imports {
		path, err := strconv.Unquote(imported.Path.Value)
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	compiled, err := exports(paths)
	if err != nil {
		return nil, err
	}
	c.importer = importer.ForCompiler(c.files, "gc", func(path string) (io.ReadCloser, error) {
		file, ok := compiled[path]
		if !ok {
			return nil, fmt.Errorf("%s is not imported by %s", path, scopeFile)
		}
		return os.Open(file)
	})
	for _, path := range paths {
		imported, err := c.importer.Import(path)
		if err != nil {
			return nil, err
		}
		c.packages[imported.Name()] = path
	}
	return c, nil
}

// exports compiles packages, and returns the files that describe them and what they import.
func exports(paths []string) (map[string]string, error) {
	list := exec.Command("go", append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}"}, paths...)...)
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	files := make(map[string]string)
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		path, file, _ := strings.Cut(lines.Text(), " ")
		files[path] = file
	}
	return files, nil
}

const notCompiled = "not compiled: "

// check reports what keeps a block from compiling. Of a block whose comment says "not compiled" and why, only the syntax
// is checked.
func (c *compiler) check(b block, report func(int, string, ...any)) {
	file, shift, err := c.parse(b)
	if err != nil {
		report(b.line, "this Go code has an error in its syntax: %v", err)
		return
	}
	if strings.HasPrefix(b.before, notCompiled) {
		return
	}
	config := types.Config{Importer: c.importer, Error: func(err error) {
		var problem types.Error
		if errors.As(err, &problem) && !problem.Soft { // soft: something is not used
			report(b.line+c.files.Position(problem.Pos).Line-1-shift, "this Go code does not compile: %s", problem.Msg)
		}
	}}
	files := []*ast.File{file}
	if file.Name.Name == c.scope.Name.Name {
		files = append(files, c.scope)
	}
	_, _ = config.Check("documents", c.files, files, nil) // each error goes to the function
}

// parse reads a block as a file, else as declarations, else as statements. shift is how many lines it adds before them.
func (c *compiler) parse(b block) (file *ast.File, shift int, err error) {
	if strings.HasPrefix(b.text, "package ") {
		file, err = parser.ParseFile(c.files, "", b.text, parser.SkipObjectResolution)
		return file, 0, err
	}
	head := "package " + c.scope.Name.Name + c.imports(b.text) + "\n"
	if file, err = parser.ParseFile(c.files, "", head+b.text, parser.SkipObjectResolution); err == nil {
		return file, 1, nil
	}
	text := head + "func _() error {\n" + b.text + "\nreturn nil }"
	file, err = parser.ParseFile(c.files, "", text, parser.SkipObjectResolution)
	return file, 2, err
}

// imports are the packages whose names stand before a dot in a text.
func (c *compiler) imports(text string) string {
	var b strings.Builder
	for _, name := range sortedKeys(c.packages) {
		if usesPackage(text, name) {
			fmt.Fprintf(&b, "; import %q", c.packages[name])
		}
	}
	return b.String()
}

func usesPackage(text, name string) bool {
	for rest := text; ; {
		before, after, found := strings.Cut(rest, name+".")
		if !found {
			return false
		}
		if before == "" || !isLetter(before[len(before)-1]) {
			return true
		}
		rest = after
	}
}

func isLetter(c byte) bool {
	return c == '.' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
