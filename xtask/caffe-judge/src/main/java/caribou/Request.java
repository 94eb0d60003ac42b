package caribou;

import java.util.HashMap;
import java.util.List;
import java.util.ArrayList;
import java.util.Map;

/** The fields of a request; a key may have several values. */
record Request(Map<String, List<String>> fields) {
    static Request parse(String line) {
        Map<String, List<String>> fields = new HashMap<>();
        for (String field : line.split("\t")) {
            int equals = field.indexOf('=');
            if (equals < 0) {
                throw new IllegalArgumentException("no key in " + field);
            }
            fields.computeIfAbsent(field.substring(0, equals), key -> new ArrayList<>()).add(field.substring(equals + 1));
        }
        return new Request(fields);
    }

    boolean has(String key) {
        return fields.containsKey(key);
    }

    List<String> all(String key) {
        return fields.getOrDefault(key, List.of());
    }

    String only(String key) {
        List<String> values = all(key);
        if (values.size() != 1) {
            throw new IllegalArgumentException("a request has one " + key);
        }
        return values.get(0);
    }
}
