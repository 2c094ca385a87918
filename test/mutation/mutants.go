package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// mutant is a file of the library with one change.
type mutant struct {
	file   string // below the root
	line   int
	change string
	source []byte
}

func (m mutant) String() string { return fmt.Sprintf("%s:%d: %s", m.file, m.line, m.change) }

// opposite operators are swapped.
var opposite = map[token.Token]token.Token{
	token.EQL: token.NEQ, token.NEQ: token.EQL, token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.LAND: token.LOR, token.LOR: token.LAND, token.ADD: token.SUB, token.SUB: token.ADD,
}

// mutants lists every change to the root package, the internal packages and durable.
func (s settings) mutants() ([]mutant, error) {
	var all []mutant
	for _, pattern := range []string{"*.go", "internal/*/*.go", "internal/*/*/*.go", "durable/*.go"} {
		files, err := filepath.Glob(filepath.Join(s.root, pattern))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || strings.HasSuffix(file, "_other.go") {
				continue
			}
			found, err := s.mutantsOf(file)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
	}
	return all, nil
}

func (s settings) mutantsOf(file string) ([]mutant, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, file, source, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	name, err := filepath.Rel(s.root, file)
	if err != nil {
		return nil, err
	}
	var all []mutant
	// add makes a change, keeps the file with it, and takes the change back.
	add := func(at token.Pos, change string, do, undo func()) {
		do()
		defer undo()
		var out bytes.Buffer
		if format.Node(&out, files, tree) == nil {
			all = append(all, mutant{name, files.Position(at).Line, change, out.Bytes()})
		}
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GenDecl:
			return n.Tok == token.CONST || n.Tok == token.VAR
		case *ast.BinaryExpr:
			if old := n.Op; opposite[old] != 0 {
				add(n.OpPos, fmt.Sprintf("%s for %s", opposite[old], old), func() { n.Op = opposite[old] }, func() { n.Op = old })
			}
		case *ast.IfStmt:
			cond := n.Cond
			add(n.Pos(), "condition negated", func() { n.Cond = &ast.UnaryExpr{Op: token.NOT, X: &ast.ParenExpr{X: cond}} }, func() { n.Cond = cond })
		case *ast.Ident:
			if other, ok := map[string]string{"true": "false", "false": "true"}[n.Name]; ok {
				old := n.Name
				add(n.Pos(), other+" for "+old, func() { n.Name = other }, func() { n.Name = old })
			}
		case *ast.BasicLit:
			if i, err := strconv.Atoi(n.Value); err == nil && n.Kind == token.INT {
				old := n.Value
				add(n.Pos(), fmt.Sprintf("%d for %d", i+1, i), func() { n.Value = strconv.Itoa(i + 1) }, func() { n.Value = old })
			}
		case *ast.BlockStmt:
			remove(&n.List, add)
		case *ast.CaseClause:
			remove(&n.Body, add)
		}
		return true
	})
	return all, nil
}

// remove leaves out each statement that declares nothing, one at a time.
func remove(list *[]ast.Stmt, add func(token.Pos, string, func(), func())) {
	old := *list
	for i, statement := range old {
		what := ""
		switch s := statement.(type) {
		case *ast.ExprStmt:
			what = "call left out"
		case *ast.DeferStmt:
			what = "defer left out"
		case *ast.IncDecStmt:
			what = "count left out"
		case *ast.AssignStmt:
			if s.Tok != token.DEFINE {
				what = "assignment left out"
			}
		}
		if what != "" {
			add(statement.Pos(), what, func() { *list = slices.Delete(slices.Clone(old), i, i+1) }, func() { *list = old })
		}
	}
}
