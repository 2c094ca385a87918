package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	c, err := newCompiler()
	require.NoError(t, err)
	const fence = "```"
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"nothing to check":           {"plain text\n", nil},
		"link to a file":             {"[a](other.md) [b](directory) [c](https://example.com/x)\n", nil},
		"link to nothing":            {"text\n[a](missing.md)\n", []string{"doc.md:2: the link missing.md leads nowhere: there is no missing.md"}},
		"link to a heading":          {"[a](other.md#two-words) [b](#here) [c](other.md#same-1)\n\n# Here\n", nil},
		"link to a missing heading":  {"[a](other.md#three)\n", []string{"doc.md:1: the link other.md#three leads nowhere: other.md has no such heading"}},
		"link in code":               {"`[a](missing.md)`\n" + fence + "\n[a](missing.md)\n" + fence + "\n", nil},
		"command":                    {fence + "console\ngo run -C module ./program -x && go test ./... # ./missing\n" + fence + "\n", nil},
		"missing program":            {fence + "sh\ntrue\ngo run -C module ./missing\n" + fence + "\n", []string{"doc.md:3: there is no ./missing in module"}},
		"missing module":             {"`go run -C directory .`\n", []string{"doc.md:1: there is no module in directory"}},
		"missing package":            {"`go run github.com/livemigration/livemigration-go/missing`\n", []string{"doc.md:1: there is no missing in ."}},
		"second command":             {"`true && bash directory/missing`\n", []string{"doc.md:1: there is no directory/missing in ."}},
		"arguments of a program":     {"`go run -C module ./program -title './missing' go run ./missing`\n", nil},
		"other code":                 {fence + "json\n{]\n" + fence + "\n", nil},
		"statements":                 {fence + "go\nm, err := client.Migrations.Get(ctx, projectID, migrationID)\n" + fence + "\n", nil},
		"statements with an error":   {"\n" + fence + "go\nx := 1\nclient.Missing()\n" + fence + "\n", []string{"doc.md:4: this Go code does not compile: client.Missing undefined (type *livemigration.Client has no field or method Missing)"}},
		"declarations":               {fence + "go\nfunc f(d time.Duration) string { return d.String() }\n" + fence + "\n", nil},
		"declarations with an error": {fence + "go\nfunc f() string { return 1 }\n" + fence + "\n", []string{"doc.md:2: this Go code does not compile: cannot use 1 (untyped int constant) as string value in return statement"}},
		"file":                       {fence + "go\npackage main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println() }\n" + fence + "\n", nil},
		"file with an error":         {fence + "go\npackage main\n\nfunc main() { missing() }\n" + fence + "\n", []string{"doc.md:4: this Go code does not compile: undefined: missing"}},
		"code that is not compiled":  {"<!-- not compiled: why -->\n" + fence + "go\nmissing()\n" + fence + "\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for path, text := range map[string]string{
				"doc.md": tt.text, "other.md": "# Two words!\n## Same\n## Same\n",
				"directory/file": "", "module/go.mod": "", "module/program/main.go": "", ".hidden/x.md": "[a](missing)",
			} {
				path = filepath.Join(root, path)
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
				require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			}
			problems, err := check(root, c)
			require.NoError(t, err)
			assert.Equal(t, tt.want, problems)
		})
	}
}

func TestPagesThatCommentsName(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "docs"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "a", "b"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "docs", "here.md"), []byte("text\n"), 0o644))
	source := strings.ReplaceAll("package b\n\n// See PAGES/here.md, PAGES/gone.md.\n", "PAGES", "docs")
	require.NoError(t, os.WriteFile(filepath.Join(root, "a", "b", "x.go"), []byte(source), 0o644))
	problems, err := check(root, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"a/b/x.go:3: the link ../../docs/gone.md leads nowhere: there is no docs/gone.md"}, problems)
}

func TestSyntaxError(t *testing.T) {
	c, err := newCompiler()
	require.NoError(t, err)
	var reported int
	c.check(block{span: span{"for {", 1}}, func(int, string, ...any) { reported++ })
	assert.Equal(t, 1, reported)
}
