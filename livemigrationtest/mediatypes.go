package livemigrationtest

import (
	"net/http"
	"regexp"
	"strings"
	"time"
)

const jsonMediaType = "application/json"

func atlasMediaType(date string) string { return "application/vnd.atlas." + date + "+json" }

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
// Content-Type of a body names the same one, by any date that stands for it, or plain JSON.
func (s *Server) checkMediaTypes(c *call) *apiError {
	wanted := jsonMediaType
	if c.version == v2 {
		if err := c.checkAccept(); err != nil {
			return err
		}
		wanted = atlasMediaType(c.date)
	}
	given, _, _ := strings.Cut(c.request.Header.Get("Content-Type"), ";")
	given = strings.ToLower(strings.TrimSpace(given))
	version, _ := c.route.versionOn(versionDate(given))
	if len(c.body) == 0 || c.route.shape == nil || given == jsonMediaType || c.version == v2 && version == c.date {
		return nil
	}
	return newError(http.StatusUnsupportedMediaType, "", "The Content-Type of the body must be "+wanted+".")
}

// checkAccept takes the first media type that is of Atlas: it is the one that the client means.
func (c *call) checkAccept() *apiError {
	const code = "INVALID_VERSION_DATE"
	accept := strings.ToLower(strings.Join(c.request.Header["Accept"], ","))
	found := atlasType.FindString(accept)
	if accept == "" {
		return newError(http.StatusBadRequest, code, "The Accept header is missing.")
	}
	if found == "" {
		return newError(http.StatusNotAcceptable, "",
			"The Accept header must name a media type such as "+atlasMediaType(c.route.newest())+".")
	}
	var ok bool
	if c.date, ok = c.route.versionOn(versionDate(found)); !ok {
		return newError(http.StatusBadRequest, code, "The Accept header has no valid version date, or an unknown one.")
	}
	return nil
}

// atlasType is a media type of Atlas, with the date of a version.
var atlasType = regexp.MustCompile(`application/vnd\.atlas(?:\.([^+,;]*))?\+json`)

// versionDate returns the date in a media type of Atlas, or nothing.
func versionDate(mediaType string) string {
	found := atlasType.FindStringSubmatch(mediaType)
	if found == nil {
		return ""
	}
	if _, err := time.Parse(time.DateOnly, found[1]); err != nil {
		return ""
	}
	return found[1]
}
