package main

import (
	"go/ast"
	"go/token"
	"strconv"
)

// change is a mutant: a part of a file, and what stands there instead.
type change struct {
	file       string
	line       int
	start, end int // offsets
	before     string
	after      string
}

// opposite are operators that are easily taken for one another.
var opposite = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.EQL: token.NEQ, token.NEQ: token.EQL, token.LAND: token.LOR, token.LOR: token.LAND,
	token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.QUO, token.QUO: token.MUL,
}

// finder collects the mutants of a file.
type finder struct {
	files   *token.FileSet
	name    string
	source  []byte
	changes []change
}

func (f *finder) add(from, to token.Pos, after string) {
	start, end := f.files.Position(from), f.files.Position(to)
	f.changes = append(f.changes, change{f.name, start.Line, start.Offset, end.Offset, string(f.source[start.Offset:end.Offset]), after})
}

// visit is for ast.Inspect.
func (f *finder) visit(node ast.Node) bool {
	switch n := node.(type) {
	case *ast.GenDecl:
		return n.Tok != token.IMPORT && n.Tok != token.TYPE
	case *ast.IfStmt:
		f.add(n.Cond.Pos(), n.Cond.End(), "!("+f.text(n.Cond)+")")
	case *ast.BinaryExpr:
		if other, ok := opposite[n.Op]; ok {
			f.add(n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), other.String())
		}
	case *ast.BasicLit:
		if number, err := strconv.ParseInt(n.Value, 0, 32); err == nil && n.Kind == token.INT {
			f.add(n.Pos(), n.End(), strconv.FormatInt(number+1, 10))
		}
	case *ast.Ident:
		if other, ok := map[string]string{"true": "false", "false": "true"}[n.Name]; ok {
			f.add(n.Pos(), n.End(), other)
		}
	case *ast.ReturnStmt:
		f.returned(n)
	case *ast.DeferStmt:
		f.add(n.Pos(), n.End(), "{}")
		f.add(n.Pos(), n.Call.Pos(), "")
	case *ast.ExprStmt, *ast.IncDecStmt, *ast.SendStmt, *ast.BranchStmt, *ast.GoStmt:
		f.add(n.Pos(), n.End(), "{}")
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			f.add(n.Pos(), n.End(), "{}")
		}
	}
	return true
}

// returned swallows the error of a return.
func (f *finder) returned(n *ast.ReturnStmt) {
	if len(n.Results) == 0 {
		return
	}
	last := n.Results[len(n.Results)-1]
	if name, ok := last.(*ast.Ident); ok && name.Name == "err" {
		f.add(last.Pos(), last.End(), "nil")
	}
}

func (f *finder) text(n ast.Node) string {
	return string(f.source[f.files.Position(n.Pos()).Offset:f.files.Position(n.End()).Offset])
}
