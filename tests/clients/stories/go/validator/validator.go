// Package validator stands in for gopkg.in/validator.v2 where the machine has none that reads the generated client.
//
// The generator writes patterns as `validate:"regexp=…"`, with its commas escaped. The package of Debian 12 is of
// 2016 and cuts there, before the first record is read. This one does what v2.0.0 and later do with such a tag, and
// knows no other. The tests of the generated client run with it or with the library: see tests/clients/tools.py.
package validator

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

const rule = "regexp="

// Validate returns the first fault of a value: a string that does not match the pattern of its field.
func Validate(value interface{}) error {
	return inspect(reflect.ValueOf(value), "value")
}

// inspect follows pointers, and goes into what a JSON document becomes: structs, lists and maps.
func inspect(value reflect.Value, at string) error {
	switch value.Kind() {
	case reflect.Ptr, reflect.Interface:
		return inspect(value.Elem(), at)
	case reflect.Slice, reflect.Array:
		for index := 0; index < value.Len(); index++ {
			if err := inspect(value.Index(index), fmt.Sprintf("%s[%d]", at, index)); err != nil {
				return err
			}
		}
	case reflect.Map:
		for _, key := range value.MapKeys() {
			if err := inspect(value.MapIndex(key), fmt.Sprintf("%s[%v]", at, key)); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for index := 0; index < value.NumField(); index++ {
			field := value.Type().Field(index)
			if !field.IsExported() {
				continue
			}
			place := at + "." + field.Name
			if tag := field.Tag.Get("validate"); tag != "" {
				if err := match(value.Field(index), tag, place); err != nil {
					return err
				}
			}
			if err := inspect(value.Field(index), place); err != nil {
				return err
			}
		}
	}
	return nil
}

// match compares a string, or a pointer to one, with the pattern of its tag; a pointer to none matches.
func match(value reflect.Value, tag string, at string) error {
	if !strings.HasPrefix(tag, rule) {
		return fmt.Errorf("%s: %q is another rule than a pattern", at, tag)
	}
	pattern, err := regexp.Compile(strings.ReplaceAll(strings.TrimPrefix(tag, rule), `\,`, ","))
	if err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	if value.Kind() == reflect.Ptr {
		if value.IsNil() {
			return nil
		}
		value = value.Elem()
	}
	if value.Kind() != reflect.String {
		return fmt.Errorf("%s: a pattern needs a string, and this is a %s", at, value.Kind())
	}
	if !pattern.MatchString(value.String()) {
		return fmt.Errorf("%s: %q does not match %s", at, value, pattern)
	}
	return nil
}
