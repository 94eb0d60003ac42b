package caribou;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.bytedeco.caffe.FloatBlob;
import org.bytedeco.caffe.FloatNet;
import org.bytedeco.caffe.NetParameter;
import org.bytedeco.caffe.StringVector;
import org.bytedeco.caffe.global.caffe;
import org.bytedeco.javacpp.Loader;

/**
 * Runs networks on real Caffe 1.0. Reads one request a line from standard input, fields {@code key=value} separated by
 * tabs, and answers each with one line that starts with {@link #MARK}, because native code prints too. A failed check of
 * Caffe ends the process; whoever started it starts another.
 *
 * <ul>
 *   <li>{@code net=} the .prototxt; {@code phase=} 0 for TRAIN, 1 for TEST; {@code level=}; {@code stage=} may be repeated
 *   <li>{@code seed=} fills the weights with random numbers, or {@code weights=} loads them from a file
 *   <li>{@code save=} and {@code hdf5=} where to write the weights
 *   <li>{@code input=NAME:FILE} an input's array (.npy, float32), may be repeated; inputs take the array's shape
 *   <li>{@code mean_file=}, {@code mean_value=}, which may be repeated, {@code scale=} and {@code crop=} do to the inputs
 *       what data layers do with these options in the phase TEST
 *   <li>{@code mean=} an image (.npy) that is written to {@code save_mean=} as a mean file is, and nothing else is done
 *   <li>{@code output=NAME} a blob to write, may be repeated; without one all outputs of the network
 *   <li>{@code prefix=} outputs are written to {@code <prefix>0.npy}, {@code <prefix>1.npy}, …
 * </ul>
 *
 * <p>A request with {@code solver=} trains, as {@link Trainer} describes, and is answered with losses in place of names.
 *
 * <p>The answer to a request that went well is {@code ok} and the names of the outputs, separated by tabs; of one that did
 * not, {@code error} and a message.
 */
public final class CaffeJudge {
    private static final String MARK = "@judge ";

    private CaffeJudge() {}

    public static void main(String[] arguments) throws IOException {
        PrintStream answers = System.out;
        System.setOut(System.err);
        // Without this, the libraries that Caffe's own depends on are not found.
        Loader.load(org.bytedeco.caffe.presets.caffe.class);
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            String answer;
            try {
                Request request = Request.parse(line);
                answer = "ok\t" + String.join("\t", request.has("solver") ? Trainer.train(request) : answer(request));
            } catch (IOException | RuntimeException error) {
                answer = "error\t" + error;
            }
            answers.println("\n" + MARK + answer);
            answers.flush();
        }
    }

    private static Set<String> answer(Request request) throws IOException {
        if (request.has("save_mean")) {
            Transformer.saveMean(Npy.read(Path.of(request.only("mean"))), request.only("save_mean"));
            return Set.of();
        }
        FloatNet net = network(request);
        if (request.has("seed")) {
            Filler filler = new Filler(Long.parseLong(request.only("seed")));
            filler.fill(net);
        }
        if (request.has("weights")) {
            net.CopyTrainedLayersFrom(request.only("weights"));
        }
        if (request.has("save")) {
            NetParameter saved = new NetParameter();
            net.ToProto(saved, false);
            caffe.WriteProtoToBinaryFile(saved, request.only("save"));
        }
        if (request.has("hdf5")) {
            net.ToHDF5(request.only("hdf5"), false);
        }
        if (!request.has("prefix")) {
            return Set.of();
        }
        run(net, request);
        Set<String> outputs = outputs(net, request);
        int i = 0;
        for (String name : outputs) {
            FloatBlob blob = net.blob_by_name(name);
            float[] values = new float[blob.count()];
            blob.cpu_data().get(values);
            Npy.write(Path.of(request.only("prefix") + i++ + ".npy"), shape(blob), values);
        }
        return outputs;
    }

    private static FloatNet network(Request request) {
        int phase = request.has("phase") ? Integer.parseInt(request.only("phase")) : caffe.TEST;
        int level = request.has("level") ? Integer.parseInt(request.only("level")) : 0;
        StringVector stages = new StringVector();
        for (String stage : request.all("stage")) {
            stages.push_back(new org.bytedeco.javacpp.BytePointer(stage));
        }
        return new FloatNet(request.only("net"), phase, level, stages.size() == 0 ? null : stages);
    }

    private static void run(FloatNet net, Request request) throws IOException {
        Map<FloatBlob, float[]> arrays = new HashMap<>();
        for (String input : request.all("input")) {
            int colon = input.indexOf(':');
            Npy array = Transformer.transformed(Npy.read(Path.of(input.substring(colon + 1))), request);
            FloatBlob blob = net.blob_by_name(input.substring(0, colon));
            blob.Reshape(array.shape());
            arrays.put(blob, array.values());
        }
        net.Reshape();
        // Reshaping lets memory go, so that values come last.
        arrays.forEach((blob, values) -> blob.mutable_cpu_data().put(values));
        net.Forward();
    }

    /** The blobs asked for, or all that no layer takes, in the order in which they are made. */
    private static Set<String> outputs(FloatNet net, Request request) {
        if (request.has("output")) {
            return new LinkedHashSet<>(request.all("output"));
        }
        Set<Integer> open = new TreeSet<>();
        for (int i = 0; i < net.num_outputs(); i++) {
            open.add(net.output_blob_indices().get(i));
        }
        Set<String> names = new LinkedHashSet<>();
        for (int index : open) {
            names.add(net.blob_names().get(index).getString());
        }
        return names;
    }

    static int[] shape(FloatBlob blob) {
        int[] shape = new int[blob.num_axes()];
        for (int axis = 0; axis < shape.length; axis++) {
            shape[axis] = blob.shape(axis);
        }
        return shape;
    }

}
