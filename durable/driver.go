package durable

import (
	"context"
	"errors"

	"github.com/livemigration/livemigration-go"
)

// Driver does the actions of records. It is the only part of an engine that talks to Atlas. It keeps nothing between
// two calls, and is safe for concurrent use.
type Driver struct {
	client   *livemigration.Client
	settings settings
}

// NewDriver returns a driver. It uses the options [WithPassword], [WithCutoverApproval], [WithCutoverWindow], [WithMaxLag]
// and [WithPollInterval].
func NewDriver(client *livemigration.Client, opts ...Option) (*Driver, error) {
	s, err := newSettings(opts)
	if err != nil {
		return nil, err
	}
	if client == nil {
		return nil, errors.New("durable: the client must not be nil")
	}
	return &Driver{client, s}, nil
}

// Do does one action of a record as begun. It changes no record.
func (d *Driver) Do(ctx context.Context, r Record) Result { return Result{} }
