package livemigration_test

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// BenchmarkMigrationsGet reads one migration from the in-memory Atlas in this process, with the client and with the
// request and decoding that a program would write with net/http alone. The server does not authenticate the bare
// request, and does the same otherwise.
func BenchmarkMigrationsGet(b *testing.B) {
	for _, place := range []struct {
		name string
		opts []livemigrationtest.Option
	}{{"loopback", nil}, {"in process", []livemigrationtest.Option{livemigrationtest.InProcess()}}} {
		b.Run(place.name+"/client", func(b *testing.B) {
			srv := livemigrationtest.NewServer(place.opts...)
			defer srv.Close()
			client, err := srv.NewClient()
			require.NoError(b, err)
			defer client.CloseIdleConnections()
			migration, err := client.Migrations.Create(b.Context(), srv.ProjectID(), srv.Request())
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.Migrations.Get(b.Context(), srv.ProjectID(), migration.ID); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(place.name+"/net-http", func(b *testing.B) {
			srv := livemigrationtest.NewServer(append(place.opts, livemigrationtest.WithoutAuthentication())...)
			defer srv.Close()
			client, err := srv.NewClient()
			require.NoError(b, err)
			migration, err := client.Migrations.Create(b.Context(), srv.ProjectID(), srv.Request())
			require.NoError(b, err)
			hc, url := srv.HTTPClient(), srv.URL()+"/api/atlas/v2/groups/"+string(srv.ProjectID())+"/liveMigrations/"+string(migration.ID)
			b.ReportAllocs()
			for b.Loop() {
				if err := bareGet(hc, url); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func bareGet(hc *http.Client, url string) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/vnd.atlas.2023-01-01+json")
	resp, err := hc.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, new(livemigration.Migration))
}
