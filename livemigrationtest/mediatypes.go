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
	// challengeMediaType is what Atlas answers an unauthenticated request with.
	challengeMediaType = "application/json;charset=ISO-8859-1"

	atlasPrefix = "application/vnd.atlas"
	jsonSuffix  = "+json"
)

func atlasMediaType(date string) string { return atlasPrefix + "." + date + jsonSuffix }

// checkMediaTypes is the step of the pipeline. In v2 the Accept header chooses the version of the resource, and the
// Content-Type of a body repeats it.
func (s *Server) checkMediaTypes(c *call) *apiError {
	if err := c.checkAccept(); err != nil {
		return err
	}
	if len(c.body) == 0 || c.route.rules == nil {
		return nil
	}
	if values := c.request.Header["Content-Type"]; len(values) != 1 || !strings.EqualFold(values[0], c.mediaType()) {
		return refusal(http.StatusUnsupportedMediaType, "The Content-Type of the body must be "+c.mediaType()+".")
	}
	return nil
}

// mediaType is that of the request's body and of a successful answer's.
func (c *call) mediaType() string {
	if c.version == v1 {
		return jsonMediaType
	}
	return c.route.mediaType
}

func (c *call) checkAccept() *apiError {
	accept := c.request.Header["Accept"]
	if len(accept) == 1 && accept[0] == c.mediaType() {
		return nil
	}
	ranges := mediaRanges(accept)
	if c.version == v1 {
		return checkAcceptV1(ranges)
	}
	return c.checkAcceptV2(ranges)
}

// mediaRanges lists the media ranges of an Accept header, in lower case and without their parameters.
func mediaRanges(accept []string) []string {
	var ranges []string
	for entry := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		if strings.TrimSpace(entry) == "" {
			continue
		}
		mediaRange, _, err := mime.ParseMediaType(entry)
		if err != nil {
			mediaRange = strings.ToLower(strings.TrimSpace(entry))
		}
		ranges = append(ranges, mediaRange)
	}
	return ranges
}

func checkAcceptV1(ranges []string) *apiError {
	takesJSON := func(mediaRange string) bool {
		return mediaRange == jsonMediaType || mediaRange == "application/*" || mediaRange == "*/*"
	}
	if len(ranges) == 0 || slices.ContainsFunc(ranges, takesJSON) {
		return nil
	}
	return refusal(http.StatusNotAcceptable, "This version of the API answers with "+jsonMediaType+" only.")
}

// checkAcceptV2 looks at the first range that is of Atlas: it is the one that the client means.
func (c *call) checkAcceptV2(ranges []string) *apiError {
	if len(ranges) == 0 {
		return invalidVersionDate("The Accept header is missing.")
	}
	chosen := slices.IndexFunc(ranges, isAtlasMediaType)
	if chosen < 0 {
		return refusal(http.StatusNotAcceptable, "The Accept header must name a media type such as "+c.mediaType()+".")
	}
	date := strings.TrimPrefix(strings.TrimSuffix(ranges[chosen], jsonSuffix), atlasPrefix+".")
	if _, err := time.Parse(time.DateOnly, date); err != nil {
		return invalidVersionDate("The Accept header has no valid version date.")
	}
	switch date {
	case c.route.date:
		return nil
	case c.route.gone:
		path := strings.TrimPrefix(c.request.URL.Path, "/")
		return &apiError{
			status: http.StatusGone, code: codeVersionGone, parameters: []any{date, path},
			detail: "Version " + date + " of " + path + " is no longer available.",
		}
	default:
		return invalidVersionDate("This resource has no version " + date + ".")
	}
}

func isAtlasMediaType(mediaRange string) bool {
	rest, ok := strings.CutPrefix(mediaRange, atlasPrefix)
	return ok && (strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "+")) && strings.HasSuffix(rest, jsonSuffix)
}

func invalidVersionDate(detail string) *apiError {
	return &apiError{status: http.StatusBadRequest, code: codeInvalidVersionDate, detail: detail}
}
