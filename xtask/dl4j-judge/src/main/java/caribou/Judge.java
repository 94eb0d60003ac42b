package caribou;

import java.io.BufferedReader;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.api.layers.IOutputLayer;
import org.deeplearning4j.nn.conf.layers.BaseOutputLayer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.util.ModelSerializer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.dataset.MultiDataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.BooleanIndexing;
import org.nd4j.linalg.indexing.NDArrayIndex;
import org.nd4j.linalg.indexing.conditions.Conditions;
import org.nd4j.linalg.lossfunctions.impl.LossSparseMCXENT;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.nd4j.shade.jackson.databind.ObjectMapper;

/**
 * Runs archives on stock DeepLearning4j. Reads one JSON request a line from standard input and answers each with one
 * line that starts with {@link #MARK}, because native code prints on standard output too.
 *
 * <p>Request: {@code {"archive": "a.zip", "inputs": ["in0.npy"], "prefix": "out", "fit": true}}. Writes the outputs
 * to {@code out0.npy}, {@code out1.npy}, … as float32 in C order. With {@code "training": {"inputs": ["x0.npy"],
 * "labels": ["y0.npy"], "steps": 20, "penalties": true}} in place of {@code fit}, arrays whose first axis counts batches, it trains on and
 * answers the losses, with or without the penalties of parameters.
 *
 * <p>{@code {"crash": true}} ends the process as a fault in native code does, so that whoever started it can prove that
 * it goes on with the next archive.
 */
public final class Judge {
    private static final String MARK = "@judge ";
    private static final ObjectMapper JSON = new ObjectMapper();

    private Judge() {}

    public static void main(String[] arguments) throws IOException {
        PrintStream answers = System.out;
        System.setOut(System.err);
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            answers.println("\n" + MARK + JSON.writeValueAsString(answer(line)));
            answers.flush();
        }
    }

    private static Map<String, Object> answer(String line) {
        Map<String, Object> answer = new LinkedHashMap<>();
        try {
            JsonNode request = JSON.readTree(line);
            if (request.path("crash").asBoolean(false)) {
                crash();
            }
            if (request.has("surgery")) {
                Surgery.run(request, answer);
            } else if (request.has("features")) {
                Features.run(request.get("features"), answer);
            } else if (request.has("resume")) {
                Resume.run(request.get("resume"), answer);
            } else if (request.has("normalizer")) {
                Normalizers.run(request, answer);
            } else {
                run(request, answer);
            }
            answer.put("ok", true);
        } catch (Throwable thrown) {
            Throwable cause = thrown;
            while (cause.getCause() != null && cause.getCause() != cause) {
                cause = cause.getCause();
            }
            answer.put("ok", false);
            answer.put("error", thrown + (cause == thrown ? "" : "; caused by " + cause));
            answer.put("at", cause.getStackTrace().length == 0 ? "" : cause.getStackTrace()[0].toString());
        }
        return answer;
    }

    /** Writes to address zero. */
    private static void crash() throws ReflectiveOperationException {
        java.lang.reflect.Field field = sun.misc.Unsafe.class.getDeclaredField("theUnsafe");
        field.setAccessible(true);
        ((sun.misc.Unsafe) field.get(null)).putAddress(0, 0);
    }

    private static void run(JsonNode request, Map<String, Object> answer) throws IOException {
        File archive = new File(request.get("archive").asText());
        Model model = restore(archive);
        answer.put("network", model.getClass().getSimpleName());
        answer.put("parameters", model.numParams());
        List<INDArray> inputs = new ArrayList<>();
        for (JsonNode input : request.get("inputs")) {
            inputs.add(Nd4j.createFromNpyFile(new File(input.asText())).castTo(type(model)).dup('c'));
        }
        INDArray[] in = inputs.toArray(new INDArray[0]);
        INDArray[] before = Arrays.stream(in).map(INDArray::dup).toArray(INDArray[]::new);
        INDArray[] outputs = output(model, in);
        List<long[]> shapes = new ArrayList<>();
        for (int i = 0; i < outputs.length; i++) {
            outputs[i] = outputs[i].castTo(DataType.FLOAT).dup('c');
            shapes.add(outputs[i].shape());
            Nd4j.writeAsNumpy(outputs[i], new File(request.get("prefix").asText() + i + ".npy"));
        }
        answer.put("outputs", shapes);
        answer.put("inputs_unchanged", Arrays.equals(in, before));
        INDArray[] again = output(model, in);
        boolean same = true;
        for (int i = 0; i < outputs.length; i++) {
            same &= marked(outputs[i]).equalsWithEps(marked(again[i].castTo(DataType.FLOAT)), 1e-7);
        }
        answer.put("repeatable", same);
        answer.put("batch_independent", batchIndependent(model, before, outputs, request.path("tolerance").asDouble(1e-5)));
        if (request.has("training")) {
            answer.put("losses", train(model, request.get("training")));
        } else if (request.path("fit").asBoolean(false)) {
            try {
                fit(model, before, outputs, answer);
            } catch (RuntimeException thrown) {
                answer.put("fit_error", thrown.toString());
            }
        }
    }

    static Model restore(File archive) throws IOException {
        try (ZipInputStream zip = new ZipInputStream(new FileInputStream(archive))) {
            for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
                if (entry.getName().equals("configuration.json")) {
                    boolean graph = JSON.readTree(zip.readAllBytes()).has("vertices");
                    return graph
                            ? ModelSerializer.restoreComputationGraph(archive, true)
                            : ModelSerializer.restoreMultiLayerNetwork(archive, true);
                }
            }
        }
        throw new IOException("no configuration.json in " + archive);
    }

    /** The type of the network's numbers, in which it is fed: some layers do not bring others to it, and throw. */
    private static DataType type(Model model) {
        return model instanceof MultiLayerNetwork network
                ? network.getLayerWiseConfigurations().getDataType()
                : ((ComputationGraph) model).getConfiguration().getDataType();
    }

    private static INDArray[] output(Model model, INDArray[] inputs) {
        if (model instanceof MultiLayerNetwork network) {
            return new INDArray[] {network.output(inputs[0], false)};
        }
        return ((ComputationGraph) model).output(false, inputs);
    }

    /** The array with a one where it has no number: two results that are none are the same. */
    private static INDArray marked(INDArray array) {
        INDArray marked = array.dup();
        BooleanIndexing.replaceWhere(marked, 1, Conditions.isNan());
        return marked;
    }

    /** Whether the first example alone, and all examples twice, give what they gave together, within the case's tolerance. */
    private static boolean batchIndependent(Model model, INDArray[] inputs, INDArray[] outputs, double tolerance) {
        INDArray[] alone = output(model, Arrays.stream(inputs).map(Judge::first).toArray(INDArray[]::new));
        INDArray[] twice = output(model, Arrays.stream(inputs).map(Judge::twice).toArray(INDArray[]::new));
        boolean same = true;
        for (int i = 0; i < outputs.length; i++) {
            INDArray expected = marked(outputs[i]);
            // Some networks have several rows for an example.
            long rows = expected.size(0) / inputs[0].size(0);
            INDArray first = expected.get(NDArrayIndex.interval(0, rows)).dup('c');
            same &= close(first, marked(alone[i]), tolerance)
                    && close(twice(expected), marked(twice[i]), tolerance);
        }
        return same;
    }

    private static INDArray first(INDArray array) {
        return array.get(NDArrayIndex.interval(0, 1)).dup('c');
    }

    private static INDArray twice(INDArray array) {
        return Nd4j.concat(0, array, array).dup('c');
    }

    private static boolean close(INDArray expected, INDArray found, double tolerance) {
        double scale = Math.max(1e-30, expected.amaxNumber().doubleValue());
        return Arrays.equals(expected.shape(), found.shape())
                && expected.sub(found.castTo(DataType.FLOAT)).amaxNumber().doubleValue() <= tolerance * scale;
    }

    /** One step of training towards labels that differ from the outputs: the score is finite and parameters move. */
    private static void fit(Model model, INDArray[] inputs, INDArray[] outputs, Map<String, Object> answer) {
        boolean trainable;
        if (model instanceof MultiLayerNetwork network) {
            trainable = network.getOutputLayer() instanceof IOutputLayer;
        } else {
            ComputationGraph graph = (ComputationGraph) model;
            trainable = graph.getConfiguration().getNetworkOutputs().stream()
                    .allMatch(name -> graph.getLayer(name) instanceof IOutputLayer);
        }
        answer.put("trainable", trainable);
        if (!trainable || model.numParams() == 0) {
            return;
        }
        INDArray[] labels = new INDArray[outputs.length];
        for (int i = 0; i < outputs.length; i++) {
            labels[i] = takesClassIndices(model, i) ? classes(outputs[i]) : labels(outputs[i]);
        }
        INDArray before = model.params().dup();
        if (model instanceof MultiLayerNetwork network) {
            network.fit(new DataSet(inputs[0], labels[0]));
        } else {
            ((ComputationGraph) model).fit(new MultiDataSet(inputs, labels));
        }
        answer.put("score", Double.toString(model.score()));
        answer.put("score_finite", Double.isFinite(model.score()));
        answer.put("changed", model.params().neq(before).castTo(DataType.LONG).sumNumber().longValue());
    }

    /** Trains on batches, one after the other and then again: the loss of each before its step. */
    private static List<String> train(Model model, JsonNode training) throws IOException {
        INDArray[] inputs = arrays(training.get("inputs"));
        INDArray[] labels = arrays(training.get("labels"));
        List<String> losses = new ArrayList<>();
        for (int step = 0; step < training.get("steps").asInt(); step++) {
            long batch = step % inputs[0].size(0);
            INDArray[] x = Arrays.stream(inputs).map(all -> all.slice(batch).dup('c')).toArray(INDArray[]::new);
            INDArray[] y = Arrays.stream(labels).map(all -> all.slice(batch).dup('c')).toArray(INDArray[]::new);
            double penalties = training.path("penalties").asBoolean(true) ? 0 : penalties(model);
            if (model instanceof MultiLayerNetwork network) {
                network.fit(new DataSet(x[0], y[0]));
            } else {
                ((ComputationGraph) model).fit(new MultiDataSet(x, y));
            }
            losses.add(Double.toString(model.score() - penalties));
        }
        return losses;
    }

    /** What the parameters, as they are before a step, add to its score. */
    private static double penalties(Model model) {
        return model instanceof MultiLayerNetwork network
                ? network.calcRegularizationScore(true)
                : ((ComputationGraph) model).calcRegularizationScore(true);
    }

    private static INDArray[] arrays(JsonNode files) throws IOException {
        List<INDArray> arrays = new ArrayList<>();
        for (JsonNode file : files) {
            arrays.add(Nd4j.createFromNpyFile(new File(file.asText())).castTo(DataType.FLOAT).dup('c'));
        }
        return arrays.toArray(new INDArray[0]);
    }

    /** Whether the loss of an output wants class indices in place of one number for each class. */
    private static boolean takesClassIndices(Model model, int output) {
        Layer layer;
        if (model instanceof MultiLayerNetwork network) {
            layer = network.getOutputLayer();
        } else {
            ComputationGraph graph = (ComputationGraph) model;
            layer = graph.getLayer(graph.getConfiguration().getNetworkOutputs().get(output));
        }
        return layer.conf().getLayer() instanceof BaseOutputLayer end
                && end.getLossFn() instanceof LossSparseMCXENT;
    }

    /** For each example the class after the most likely one. */
    private static INDArray classes(INDArray output) {
        INDArray most = output.argMax(output.rank() - 1).castTo(DataType.FLOAT);
        return most.add(1).fmod(output.size(-1)).reshape(output.size(0), 1);
    }

    /** Labels of the shape of the outputs, in [0, 1]: each output moved half-way towards one. */
    private static INDArray labels(INDArray output) {
        INDArray bounded = org.nd4j.linalg.ops.transforms.Transforms.sigmoid(output, true);
        return bounded.add(1).div(2);
    }
}
