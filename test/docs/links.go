package main

import (
	"os"
	"path"
	"path/filepath"
	"strings"
)

// checkLinks reports links inside the repository that lead nowhere.
func checkLinks(root string, documents map[string]*document, d *document, report func(int, string, ...any)) {
	for _, l := range d.links {
		if strings.Contains(l.text, "://") || strings.HasPrefix(l.text, "mailto:") {
			continue
		}
		file, anchor, _ := strings.Cut(l.text, "#")
		target := d.path
		if file != "" {
			target = path.Join(path.Dir(d.path), file)
		}
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(target))); err != nil {
			report(l.line, "the link %s leads nowhere: there is no %s", l.text, target)
			continue
		}
		if to, ok := documents[target]; ok && anchor != "" && !to.anchors[anchor] {
			report(l.line, "the link %s leads nowhere: %s has no such heading", l.text, target)
		}
	}
}
