package durable

import "strings"

// Unsynced makes a directory fast on a slow disk: nothing is synced.
func Unsynced(d *Dir) *Dir {
	d.try = func(operation string, do func() error) error {
		if strings.HasPrefix(operation, "sync") {
			return nil
		}
		return do()
	}
	return d
}
