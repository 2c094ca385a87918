package livemigrationtest

import (
	"net/http"
	"strings"
	"time"
)

const (
	jsonMediaType = "application/json"
	atlasPrefix   = "application/vnd.atlas"
	jsonSuffix    = "+json"
)

func atlasMediaType(date string) string { return atlasPrefix + "." + date + jsonSuffix }

// responseType is the media type of a successful response, even if a fault makes one out of another.
func (c *call) responseType() string {
	if c.version != v2 || c.route == nil {
		return jsonMediaType
	}
	date := c.date
	if date == "" {
		date = c.route.newest()
	}
	return atlasMediaType(date) + ";charset=utf-8"
}

// checkMediaTypes checks the headers Accept and Content-Type. In v2 Accept chooses the version of the resource. The
// Content-Type of a body names the same one, or plain JSON.
func (s *Server) checkMediaTypes(c *call) *apiError {
	wanted := jsonMediaType
	if c.version == v2 {
		if err := c.checkAccept(); err != nil {
			return err
		}
		wanted = atlasMediaType(c.date)
	}
	if len(c.body) == 0 || c.route.shape == nil {
		return nil
	}
	values := c.request.Header["Content-Type"]
	if len(values) == 1 && c.takes(withoutParameters(values[0])) {
		return nil
	}
	return failure(http.StatusUnsupportedMediaType, "The Content-Type of the body must be "+wanted+".")
}

// withoutParameters is a media type in lowercase and without its parameters.
func withoutParameters(value string) string {
	mediaType, _, _ := strings.Cut(value, ";")
	return strings.ToLower(strings.TrimSpace(mediaType))
}

// checkAccept takes the first media type that is of Atlas: it is the one that the client means.
func (c *call) checkAccept() *apiError {
	accept := strings.Join(c.request.Header["Accept"], ",")
	if accept == "" {
		return invalidVersionDate("The Accept header is missing.")
	}
	for entry := range strings.SplitSeq(accept, ",") {
		mediaType := withoutParameters(entry)
		if !isAtlasMediaType(mediaType) {
			continue
		}
		date, ok := versionDate(mediaType)
		if !ok {
			return invalidVersionDate("The Accept header has no valid version date.")
		}
		if c.date, ok = c.route.versionOn(date); !ok {
			return invalidVersionDate("This resource has no version " + date + ".")
		}
		return nil
	}
	return failure(http.StatusNotAcceptable,
		"The Accept header must name a media type such as "+atlasMediaType(c.route.newest())+".")
}

// takes reports whether a media type is that of the version that the Accept header has chosen, by any date that stands
// for it, or plain JSON.
func (c *call) takes(mediaType string) bool {
	if mediaType == jsonMediaType {
		return true
	}
	date, ok := versionDate(mediaType)
	if !ok || c.version != v2 || !isAtlasMediaType(mediaType) {
		return false
	}
	version, ok := c.route.versionOn(date)
	return ok && version == c.date
}

// versionDate returns the date in a media type of Atlas, and whether it is one.
func versionDate(mediaType string) (string, bool) {
	date := strings.TrimPrefix(strings.TrimSuffix(mediaType, jsonSuffix), atlasPrefix+".")
	_, err := time.Parse(time.DateOnly, date)
	return date, err == nil
}

func isAtlasMediaType(mediaType string) bool {
	rest, ok := strings.CutPrefix(mediaType, atlasPrefix)
	return ok && (strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "+")) && strings.HasSuffix(rest, jsonSuffix)
}

func invalidVersionDate(detail string) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "INVALID_VERSION_DATE", detail: detail}
}
