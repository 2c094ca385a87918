package main

import (
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

// discard removes the file of a link-token that was not created.
func (t *tokenFile) discard() {
	_ = t.file.Close()
	_ = os.Remove(t.file.Name())
}
