package livemigrationtest

import (
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	jsonMediaType = "application/json"

	atlasPrefix = "application/vnd.atlas"
	jsonSuffix  = "+json"

	utf8Parameter = ";charset=utf-8"
)

func atlasMediaType(date string) string { return atlasPrefix + "." + date + jsonSuffix }

// checkMediaTypes is the step of the pipeline. In v2 the Accept header chooses the version of the resource. The
// Content-Type of a body names the same one, or plain JSON.
func (s *Server) checkMediaTypes(c *call) *apiError {
	if err := c.checkAccept(); err != nil {
		return err
	}
	if len(c.body) == 0 || c.route.rules == nil {
		return nil
	}
	return c.checkContentType()
}

// mediaType is that of the request's body.
func (c *call) mediaType() string {
	if c.version != v2 {
		return jsonMediaType
	}
	return atlasMediaType(c.date)
}

// responseType is the media type of a successful response, also where a fault makes one out of another.
func (c *call) responseType() string {
	switch {
	case c.version != v2 || c.route == nil:
		return jsonMediaType
	case c.deprecated():
		return atlasMediaType(c.date) + utf8Parameter
	default:
		return c.route.responseType
	}
}

func (c *call) checkAccept() *apiError {
	accept := c.request.Header["Accept"]
	if c.version != v2 {
		return checkAcceptJSON(mediaRanges(accept))
	}
	if len(accept) == 1 && accept[0] == c.route.mediaType {
		c.date = c.route.newest()
		return nil
	}
	return c.checkAcceptV2(mediaRanges(accept))
}

// mediaRanges lists the media ranges of an Accept header, in lower case and without their parameters.
func mediaRanges(accept []string) []string {
	if len(accept) == 1 && accept[0] == jsonMediaType {
		return accept
	}
	var ranges []string
	for entry := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		if strings.TrimSpace(entry) != "" {
			ranges = append(ranges, withoutParameters(entry))
		}
	}
	return ranges
}

// withoutParameters is a media type in lower case and without its parameters.
func withoutParameters(value string) string {
	mediaType, _, err := mime.ParseMediaType(value)
	if err != nil {
		return strings.ToLower(strings.TrimSpace(value))
	}
	return mediaType
}

func checkAcceptJSON(ranges []string) *apiError {
	takesJSON := func(mediaRange string) bool {
		return mediaRange == jsonMediaType || mediaRange == "application/*" || mediaRange == "*/*"
	}
	if len(ranges) == 0 || slices.ContainsFunc(ranges, takesJSON) {
		return nil
	}
	return failure(http.StatusNotAcceptable, "This version of the API has responses in "+jsonMediaType+" only.")
}

// checkAcceptV2 looks at the first range that is of Atlas: it is the one that the client means.
func (c *call) checkAcceptV2(ranges []string) *apiError {
	if len(ranges) == 0 {
		return invalidVersionDate("The Accept header is missing.")
	}
	chosen := slices.IndexFunc(ranges, isAtlasMediaType)
	if chosen < 0 {
		return failure(http.StatusNotAcceptable, "The Accept header must name a media type such as "+c.route.mediaType+".")
	}
	date, ok := versionDate(ranges[chosen])
	if !ok {
		return invalidVersionDate("The Accept header has no valid version date.")
	}
	if c.date, ok = c.route.versionOn(date); !ok {
		return invalidVersionDate("This resource has no version " + date + ".")
	}
	return nil
}

// checkContentType takes the version that the Accept header has chosen, by any date that stands for it, and plain JSON.
func (c *call) checkContentType() *apiError {
	values := c.request.Header["Content-Type"]
	if len(values) == 1 && c.takes(withoutParameters(values[0])) {
		return nil
	}
	return failure(http.StatusUnsupportedMediaType, "The Content-Type of the body must be "+c.mediaType()+".")
}

func (c *call) takes(mediaType string) bool {
	if mediaType == jsonMediaType {
		return true
	}
	if c.version != v2 || !isAtlasMediaType(mediaType) {
		return false
	}
	date, ok := versionDate(mediaType)
	if !ok {
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
	return &apiError{status: http.StatusBadRequest, code: codeInvalidVersionDate, detail: detail}
}
