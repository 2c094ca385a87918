package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/livemigration/livemigration-go"
)

// loadRequest reads and checks a request file. The password takes the place of the file's unless it is empty.
func loadRequest(path string, opts *options, password string) (livemigration.MigrationRequest, error) {
	req, err := decodeRequest(path)
	if err != nil {
		return req, usagef("-request %s: %s", path, err)
	}
	if password != "" && !req.Source.ManagedAuthentication {
		req.Source.Password = livemigration.Secret(password)
	}
	if err := req.Validate(opts.version); err != nil {
		return req, usagef("-request %s: %s", path, text(err))
	}
	if id := req.Destination.ProjectID; id != "" && id != opts.project {
		return req, usagef("-request %s: destination.groupId is not the project of -project", path)
	}
	return req, nil
}

// decodeRequest takes one JSON object with known fields only: a misspelled dropDestinationData must not go unnoticed.
func decodeRequest(path string) (req livemigration.MigrationRequest, err error) {
	file, err := os.Open(path)
	if err != nil {
		return req, withoutPath(err)
	}
	defer file.Close()
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&req); err != nil {
		return req, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return req, errors.New("there is something after the JSON object")
	}
	return req, nil
}

// withoutPath is the reason of a failure of package os, for messages that name the file themselves.
func withoutPath(err error) error {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}
