package livemigrationtest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestMediaTypesV2(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		accept, contentType string // empty: none; = : the right one
		status              int
		code                string
	}{
		"right":                        {"=", "=", 0, ""},
		"no Accept":                    {"", "=", 400, "INVALID_VERSION_DATE"},
		"no date":                      {"application/vnd.atlas+json", "=", 400, "INVALID_VERSION_DATE"},
		"impossible date":              {"application/vnd.atlas.2023-13-01+json", "=", 400, "INVALID_VERSION_DATE"},
		"no date but a word":           {"application/vnd.atlas.preview+json", "=", 400, "INVALID_VERSION_DATE"},
		"unknown date":                 {"application/vnd.atlas.2022-01-01+json", "=", 400, "INVALID_VERSION_DATE"},
		"later date":                   {"application/vnd.atlas.2025-03-12+json", "=", 0, ""},
		"parameter":                    {"=;charset=utf-8", "=; charset=utf-8", 0, ""},
		"anything":                     {"*/*", "=", 406, "NOT_ACCEPTABLE"},
		"plain JSON":                   {"application/json", "=", 406, "NOT_ACCEPTABLE"},
		"CSV":                          {"application/vnd.atlas.2023-01-01+csv", "=", 406, "NOT_ACCEPTABLE"},
		"malformed":                    {"json please", "=", 406, "NOT_ACCEPTABLE"},
		"among others":                 {"text/html, =;q=0.5", "=", 0, ""},
		"no Content-Type":              {"=", "", 415, "UNSUPPORTED_MEDIA_TYPE"},
		"Content-Type JSON":            {"=", "application/json", 0, ""},
		"Content-Type JSON in UTF-8":   {"=", "application/json;charset=UTF-8", 0, ""},
		"Content-Type of later date":   {"=", "application/vnd.atlas.2025-03-12+json", 0, ""},
		"Content-Type of another date": {"=", "application/vnd.atlas.2022-01-01+json", 415, "UNSUPPORTED_MEDIA_TYPE"},
		"Content-Type of no date":      {"=", "application/vnd.atlas.now+json", 415, "UNSUPPORTED_MEDIA_TYPE"},
		"Content-Type a form":          {"=", "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, op := range allOperations {
				srv := newOpenServer(t)
				r := prepare(t, srv, op, v2Prefix)
				right := r.header["Accept"]
				r = r.with("Accept", strings.ReplaceAll(tt.accept, "=;", right+";"))
				if tt.accept == "=" {
					r = r.with("Accept", right)
				}
				if r.body != "" {
					r = r.with("Content-Type", strings.Replace(tt.contentType, "=;", right+";", 1))
				}
				if r.body != "" && tt.contentType == "=" {
					r = r.with("Content-Type", right)
				}
				res := send(t, srv, r)
				if tt.status == 0 || r.body == "" && tt.status == 415 {
					assert.Less(t, res.status, 300, "%s: %s", op, res.body)
					continue
				}
				assertError(t, res, tt.status, tt.code)
			}
		})
	}
}

// A date stands for the newest version that is not later.
func TestVersionDates(t *testing.T) {
	t.Parallel()
	const deprecation, sunset = "Mon, 5 Aug 2024 00:00:00 GMT", "Thu, 1 Jul 2027 00:00:00 GMT"
	of := func(date string) string { return "application/vnd.atlas." + date + "+json" }
	tests := map[string]struct {
		date, other string // two that stand for the same version
		version     string // empty: none
	}{
		"before the first": {"2022-12-31", "2022-12-31", ""},
		"the first":        {"2023-01-01", "2024-05-29", media2023},
		"between":          {"2023-11-15", "2023-01-01", media2023},
		"the second":       {"2024-05-30", "2025-03-12", media2024},
		"after the last":   {"2099-01-01", "2024-05-30", media2024},
	}
	for name, tt := range tests {
		for _, op := range []livemigrationtest.Operation{livemigrationtest.CreateMigration, livemigrationtest.CreateValidation} {
			t.Run(name+" "+string(op), func(t *testing.T) {
				t.Parallel()
				srv := newOpenServer(t)
				r := endpoint(srv, op, v2Prefix, "")
				if tt.version == media2023 {
					r = changed2023(r)
				}
				res := send(t, srv, r.with("Accept", of(tt.date)).with("Content-Type", of(tt.other)))
				if tt.version == "" {
					assertError(t, res, 400, "INVALID_VERSION_DATE")
					return
				}
				require.Less(t, res.status, 300, res.body)
				assert.Equal(t, tt.version+";charset=utf-8", res.header.Get("Content-Type"))
				if tt.version == media2023 {
					assertDeprecation(t, res, deprecation, sunset)
				} else {
					assertDeprecation(t, res, "", "")
				}
			})
		}
	}
}

func TestContentTypeOfAnotherVersion(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	r := endpoint(srv, livemigrationtest.CreateMigration, v2Prefix, "").with("Content-Type", media2023)
	assertError(t, send(t, srv, r), 415, "UNSUPPORTED_MEDIA_TYPE")
}

func TestMediaTypesV1(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		accept, contentType string
		status              int
	}{
		"right":               {mediaV1, mediaV1, 201},
		"anything":            {"*/*", mediaV1, 201},
		"no Accept":           {"", mediaV1, 201},
		"any application":     {"text/html, application/*;q=0.1", mediaV1, 201},
		"of v2":               {media2023, mediaV1, 406},
		"HTML":                {"text/html", mediaV1, 406},
		"no Content-Type":     {mediaV1, "", 415},
		"Content-Type of v2":  {mediaV1, media2023, 415},
		"parameter":           {mediaV1, "application/json; charset=utf-8", 201},
		"Content-Type a form": {mediaV1, "application/x-www-form-urlencoded", 415},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newOpenServer(t)
			r := endpoint(srv, livemigrationtest.CreateLinkToken, v1Prefix, "")
			res := send(t, srv, r.with("Accept", tt.accept).with("Content-Type", tt.contentType))
			assert.Equal(t, tt.status, res.status, res.body)
		})
	}
}
