package caribou;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** An array of float32 in C order, as NumPy's .npy files hold it (format version 1.0). */
record Npy(int[] shape, float[] values) {
    private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
    private static final Pattern SHAPE = Pattern.compile("'shape': \\(([^)]*)\\)");

    static Npy read(Path path) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN);
        int length = bytes.getShort(8);
        String header = new String(bytes.array(), 10, length, StandardCharsets.US_ASCII);
        Matcher shape = SHAPE.matcher(header);
        if (!header.contains("'<f4'") || !header.contains("'fortran_order': False") || !shape.find()) {
            throw new IOException(path + " is not float32 in C order: " + header);
        }
        int[] sizes = Arrays.stream(shape.group(1).split(","))
                .map(String::trim)
                .filter(size -> !size.isEmpty())
                .mapToInt(Integer::parseInt)
                .toArray();
        bytes.position(10 + length);
        float[] values = new float[bytes.remaining() / Float.BYTES];
        bytes.asFloatBuffer().get(values);
        return new Npy(sizes, values);
    }

    static void write(Path path, int[] shape, float[] values) throws IOException {
        String sizes = Arrays.stream(shape).mapToObj(Integer::toString).collect(Collectors.joining(", "));
        String header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + sizes + (shape.length == 1 ? ",), }" : "), }");
        int length = (MAGIC.length + 2 + header.length() + 1 + 63) / 64 * 64 - MAGIC.length - 2;
        header += " ".repeat(length - 1 - header.length()) + "\n";
        ByteBuffer bytes = ByteBuffer.allocate(MAGIC.length + 2 + length + Float.BYTES * values.length);
        bytes.order(ByteOrder.LITTLE_ENDIAN).put(MAGIC).putShort((short) length);
        bytes.put(header.getBytes(StandardCharsets.US_ASCII)).asFloatBuffer().put(values);
        Files.write(path, bytes.array());
    }
}
