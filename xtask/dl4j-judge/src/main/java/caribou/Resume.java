package caribou;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.util.ModelSerializer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.dataset.MultiDataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.nd4j.shade.jackson.databind.ObjectMapper;

/**
 * Training that goes on: makes an archive of a network that was trained for some steps, or trains two archives on the same
 * batches and compares their parameters and what their optimisers remember bit by bit.
 */
final class Resume {
    private static final ObjectMapper JSON = new ObjectMapper();
    /** Steps of an epoch. */
    private static final int EPOCH = 4;

    private Resume() {}

    static void run(JsonNode request, Map<String, Object> answer) throws IOException {
        String name = request.get("network").asText();
        int steps = request.get("steps").asInt();
        if (request.has("make")) {
            Model model = Samples.network(name, request.get("options"));
            train(model, name, steps, 1);
            ModelSerializer.writeModel(model, new File(request.get("make").asText()), true);
            if (request.has("prefix")) {
                INDArray input = Samples.input(name, new Random(3));
                Nd4j.writeAsNumpy(input, new File(request.get("prefix").asText() + "input.npy"));
                INDArray output = output(model, input).castTo(DataType.FLOAT).dup('c');
                Nd4j.writeAsNumpy(output, new File(request.get("prefix").asText() + "output.npy"));
            }
            return;
        }
        List<Model> models = new ArrayList<>();
        for (JsonNode archive : request.get("archives")) {
            models.add(Judge.restore(new File(archive.asText())));
        }
        Model first = models.get(0);
        Model second = models.get(1);
        List<String> differences = new ArrayList<>();
        Surgery.compare("", JSON.readTree(Surgery.configuration(first)), JSON.readTree(Surgery.configuration(second)), differences);
        answer.put("configuration", differences);
        answer.put("started", counts(first) + " and " + counts(second));
        answer.put("pruned", pruned(first, second));
        answer.put("remembered", state(second).length);
        train(first, name, steps, 2);
        train(second, name, steps, 2);
        answer.put("counted", counts(first) + " and " + counts(second));
        answer.put("parameters", differs(vector(first.params()), vector(second.params())));
        answer.put("state", differs(state(first), state(second)));
    }

    private static INDArray output(Model model, INDArray input) {
        return model instanceof MultiLayerNetwork network
                ? network.output(input.dup(), false)
                : ((ComputationGraph) model).output(false, input.dup())[0];
    }

    private static void train(Model model, String name, int steps, long seed) {
        Random random = new Random(seed);
        // Dropout draws from here.
        Nd4j.getRandom().setSeed(99);
        for (int step = 1; step <= steps; step++) {
            INDArray x = Samples.input(name, random);
            INDArray y = Samples.labels(output(model, x).shape(), random);
            if (model instanceof MultiLayerNetwork network) {
                network.fit(new DataSet(x, y));
                if (step % EPOCH == 0) {
                    network.incrementEpochCount();
                }
            } else {
                ComputationGraph graph = (ComputationGraph) model;
                graph.fit(new MultiDataSet(x, y));
                if (step % EPOCH == 0) {
                    graph.incrementEpochCount();
                }
            }
        }
    }

    /** Steps and epochs so far. */
    private static String counts(Model model) {
        return model instanceof MultiLayerNetwork network
                ? network.getLayerWiseConfigurations().getIterationCount() + "/" + network.getLayerWiseConfigurations().getEpochCount()
                : ((ComputationGraph) model).getConfiguration().getIterationCount() + "/"
                        + ((ComputationGraph) model).getConfiguration().getEpochCount();
    }

    private static float[] state(Model model) {
        INDArray state = model instanceof MultiLayerNetwork network
                ? network.getUpdater().getStateViewArray()
                : ((ComputationGraph) model).getUpdater().getStateViewArray();
        return state == null ? new float[0] : vector(state);
    }

    private static float[] vector(INDArray array) {
        return array.dup('c').reshape(array.length()).toFloatVector();
    }

    /** Empty where both are the same bit by bit. */
    private static String differs(float[] first, float[] second) {
        if (first.length != second.length) {
            return first.length + " and " + second.length + " numbers";
        }
        int count = 0;
        float largest = 0;
        for (int i = 0; i < first.length; i++) {
            if (Float.floatToIntBits(first[i]) != Float.floatToIntBits(second[i])) {
                count++;
                largest = Math.max(largest, Math.abs(first[i] - second[i]));
            }
        }
        return count == 0 ? "" : count + " of " + first.length + " numbers differ, by at most " + largest;
    }

    /**
     * Whether the second is the first with some parameters zero: one vector is remembered, of which the second has zeros
     * there and the same numbers elsewhere. Empty where it is so.
     */
    private static String pruned(Model first, Model second) {
        float[] before = vector(first.params());
        float[] after = vector(second.params());
        float[] was = state(first);
        float[] is = state(second);
        if (before.length != after.length || was.length != before.length || is.length != before.length) {
            return "not one number for each parameter";
        }
        int zeros = 0;
        for (int i = 0; i < is.length; i++) {
            boolean gone = after[i] == 0 && before[i] != 0;
            zeros += gone ? 1 : 0;
            if (is[i] != (gone ? 0 : was[i])) {
                return "number " + i + " is " + is[i] + " and was " + was[i] + ", its parameter is " + after[i];
            }
        }
        return zeros == 0 ? "nothing was pruned" : "";
    }
}
