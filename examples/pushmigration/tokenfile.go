package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/livemigration/livemigration-go"
)

// tokenFile is where the link-token goes, the only place where it is ever shown.
type tokenFile struct{ file *os.File }

// createTokenFile makes the file before there is a link-token, so that none is created that cannot be kept. A file
// that exists is left alone: it may hold another link-token.
func createTokenFile(path string) (*tokenFile, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil, usagef("-token-file %s: the file exists already, and is not overwritten: remove it or name another one", path)
	case err != nil:
		return nil, usagef("-token-file %s: %s", path, withoutPath(err))
	}
	return &tokenFile{file}, nil
}

func (t *tokenFile) write(token livemigration.Secret) error {
	_, err := t.file.WriteString(token.Reveal() + "\n")
	if err := errors.Join(err, t.file.Close()); err != nil {
		return fmt.Errorf("the link-token was created but could not be written to %s: %w", t.file.Name(), withoutPath(err))
	}
	return nil
}

// maxTokenFile is far more than a link-token takes, in bytes.
const maxTokenFile = 4096

// checkTokenFile refuses to remove, together with its link-token, a file that cannot be that of one.
func checkTokenFile(path string, mustExist bool) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !mustExist:
		return nil
	case err != nil:
		return usagef("-token-file %s, with -delete-link-token the file of a link-token that exists: %s", path, withoutPath(err))
	case !info.Mode().IsRegular() || info.Size() > maxTokenFile:
		return notTokenFile(path)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return usagef("-token-file %s: %s", path, withoutPath(err))
	}
	if bytes.ContainsAny(bytes.TrimSpace(content), " \t\r\n{\"") { // it is one word, and nothing when writing it has failed
		return notTokenFile(path)
	}
	return nil
}

func notTokenFile(path string) error {
	return usagef("-token-file %s: the file does not hold a link-token, and would be removed: with -delete-link-token the file is that of the link-token that exists", path)
}

// removed removes the file of a link-token that exists no more, and says what came of it.
func removed(path string) string {
	if path == "" {
		return ""
	}
	switch err := os.Remove(path); {
	case errors.Is(err, fs.ErrNotExist):
		return "; " + path + " did not exist"
	case err != nil:
		return fmt.Sprintf("; %s could not be removed: %s", path, withoutPath(err))
	default:
		return "; " + path + " removed"
	}
}

// discard removes the file of a link-token that was not created.
func (t *tokenFile) discard() {
	_ = t.file.Close()
	_ = os.Remove(t.file.Name())
}
