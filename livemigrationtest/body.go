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

// readBody reads a request body, and one byte more than allowed of a body that is too large.
func readBody(body io.Reader) ([]byte, error) {
	if body == nil || body == http.NoBody {
		return nil, nil
	}
	return io.ReadAll(io.LimitReader(body, maxBody+1))
}

// checkBody is the step of the pipeline.
func (s *Server) checkBody(c *call) *apiError {
	switch {
	case c.bodyErr != nil:
		return &apiError{status: http.StatusBadRequest, code: codeInvalidJSON, detail: "The request body could not be read."}
	case len(c.body) > maxBody:
		return failure(http.StatusRequestEntityTooLarge, "The request body has more than "+strconv.Itoa(maxBody)+" bytes.")
	case c.route.rules == nil && len(c.body) > 0:
		return &apiError{status: http.StatusBadRequest, detail: "This endpoint takes no request body."}
	case c.route.rules == nil:
		return nil
	}
	return checkJSON(c.body, c.route.rules(c))
}

// checkJSON reports everything that is wrong with a body at once.
func checkJSON(body []byte, rules rule) *apiError {
	value, duplicates, err := decode(body)
	if err != nil {
		return &apiError{status: http.StatusBadRequest, code: codeInvalidJSON, detail: "The request body is not valid JSON."}
	}
	if _, ok := value.(map[string]any); !ok {
		return &apiError{status: http.StatusBadRequest, code: codeInvalidJSON, detail: "The request body must be a JSON object."}
	}
	r := &report{}
	for _, path := range duplicates {
		r.invalid(path, "is given more than once")
	}
	rules(r, "", value)
	return badRequest(r.violations)
}

var errNotJSON = errors.New("not one JSON value in UTF-8")

// decode reads one JSON value, as json.Unmarshal would into an any, and lists the names that an object has more than
// once: of those encoding/json silently takes the last.
func decode(body []byte) (value any, duplicates []string, err error) {
	if !utf8.Valid(body) || !json.Valid(body) {
		return nil, nil, errNotJSON
	}
	d := decoder{tokens: json.NewDecoder(bytes.NewReader(body))}
	d.tokens.UseNumber()
	value, err = d.value("")
	return value, d.duplicates, err
}

type decoder struct {
	tokens     *json.Decoder
	duplicates []string
}

func (d *decoder) value(path string) (any, error) {
	token, err := d.tokens.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		return d.object(path)
	case json.Delim('['):
		return d.array(path)
	default:
		return token, nil
	}
}

func (d *decoder) object(path string) (any, error) {
	fields := make(map[string]any)
	for d.tokens.More() {
		token, err := d.tokens.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string)
		if _, known := fields[name]; known {
			d.duplicates = append(d.duplicates, join(path, name))
		}
		if fields[name], err = d.value(join(path, name)); err != nil {
			return nil, err
		}
	}
	_, err := d.tokens.Token() // the closing brace
	return fields, err
}

func (d *decoder) array(path string) (any, error) {
	elements := []any{}
	for d.tokens.More() {
		element, err := d.value(path + "[" + strconv.Itoa(len(elements)) + "]")
		if err != nil {
			return nil, err
		}
		elements = append(elements, element)
	}
	_, err := d.tokens.Token() // the closing bracket
	return elements, err
}
