// Command required is bare with the packages that the library's interface requires, each called once: it shows how much
// of the library's size is theirs.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"

	"github.com/google/go-querystring/query"
	"github.com/hashicorp/go-retryablehttp"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/time/rate"
)

func main() {
	ctx := context.Background()
	values, err := query.Values(struct {
		Pretty bool `url:"pretty,omitempty"`
	}{true})
	if err != nil {
		log.Fatal(err)
	}
	token, err := (&clientcredentials.Config{TokenURL: os.Args[1]}).Token(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if err := rate.NewLimiter(1, 1).Wait(ctx); err != nil {
		log.Fatal(err)
	}
	slog.New(slog.DiscardHandler).Info("read", "token", token.Valid())
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, os.Args[1]+"?"+values.Encode(), nil)
	if err != nil {
		log.Fatal(err)
	}
	resp, err := (&retryablehttp.Client{RetryMax: 1, CheckRetry: retryablehttp.DefaultRetryPolicy, Backoff: retryablehttp.DefaultBackoff}).Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	var migration struct{ Status string }
	if err := json.NewDecoder(resp.Body).Decode(&migration); err != nil {
		log.Fatal(err)
	}
	fmt.Println(migration.Status)
}
