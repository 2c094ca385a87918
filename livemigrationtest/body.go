package livemigrationtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"unicode/utf8"
)

// maxBody is the most that a request body may have, in bytes.
const maxBody = 1 << 20

// readBody reads a request body. Of a body that is too large it returns one byte more than allowed.
func readBody(body io.Reader) ([]byte, error) {
	if body == nil || body == http.NoBody {
		return nil, nil
	}
	read, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	if err == nil && len(read) > maxBody {
		_, err = io.Copy(io.Discard, body) // else the client may see a reset before the response
	}
	return read, err
}

// checkBody checks a body against the rules of its endpoint, and reports everything that is wrong with it at once.
func (s *Server) checkBody(c *call) *apiError {
	switch {
	case c.bodyErr != nil:
		return newError(http.StatusBadRequest, "INVALID_JSON", "The request body could not be read.")
	case len(c.body) > maxBody:
		return newError(http.StatusRequestEntityTooLarge, "", "The request body has more than "+strconv.Itoa(maxBody)+" bytes.")
	case c.route.shape == nil && len(c.body) > 0:
		return newError(http.StatusBadRequest, "", "This endpoint takes no request body.")
	case c.route.shape == nil:
		return nil
	}
	value, err := decode(c.body)
	if err != nil {
		return newError(http.StatusBadRequest, "INVALID_JSON", "The request body is not valid JSON.")
	}
	fields, ok := value.(map[string]any)
	if !ok {
		return newError(http.StatusBadRequest, "INVALID_JSON", "The request body must be a JSON object.")
	}
	return badRequest(checkBodyShape(c, fields))
}

// decode reads one JSON value, with numbers as they stand.
func decode(body []byte) (value any, err error) {
	if !utf8.Valid(body) {
		return nil, errors.New("not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return value, nil
}
