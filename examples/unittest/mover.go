// Package unittest stands for a package of your own that uses the library; its tests show how to do without Atlas.
package unittest

import (
	"context"
	"fmt"

	"github.com/livemigration/livemigration-go"
)

// Mover finishes migrations that somebody else has started.
type Mover struct {
	Client  *livemigration.Client
	Project livemigration.ProjectID
	// StopWrites keeps applications from writing to the source. It is called once the migration is ready for cutover.
	StopWrites func(context.Context) error
}

// Finish waits until the migration is ready, stops the writes, cuts over, and waits until the migration is complete.
// For a migration that has been cut over already it only waits.
func (m *Mover) Finish(ctx context.Context, id livemigration.MigrationID) error {
	ready, err := m.Client.Migrations.WaitReadyForCutover(ctx, m.Project, id)
	if err != nil {
		return err
	}
	if ready.Status == livemigration.MigrationComplete {
		return nil
	}
	if err := m.StopWrites(ctx); err != nil {
		return fmt.Errorf("stop writes to the source: %w", err)
	}
	if err := m.Client.Migrations.Cutover(ctx, m.Project, id); err != nil {
		return err
	}
	_, err = m.Client.Migrations.WaitComplete(ctx, m.Project, id)
	return err
}
