package caribou;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.conf.GradientNormalization;
import org.deeplearning4j.nn.conf.dropout.Dropout;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.DropoutLayer;
import org.deeplearning4j.nn.conf.layers.GlobalPoolingLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.conf.layers.PoolingType;
import org.deeplearning4j.nn.conf.layers.RnnOutputLayer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.nn.transferlearning.FineTuneConfiguration;
import org.deeplearning4j.nn.transferlearning.TransferLearning;
import org.deeplearning4j.nn.weights.WeightInit;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.dataset.MultiDataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.nd4j.shade.jackson.databind.ObjectMapper;

/**
 * Does to a network with stock DL4J's {@code TransferLearning.Builder} what a request says, and compares the outcome with
 * an archive that is said to be the same: the configuration field by field, the parameters that stay bit by bit, the
 * outputs, and the losses of some steps of training, in which frozen parameters must not move.
 */
final class Surgery {
    private static final ObjectMapper JSON = new ObjectMapper();

    private Surgery() {}

    static void run(JsonNode request, Map<String, Object> answer) throws Exception {
        Model result = Judge.restore(new File(request.get("archive").asText()));
        Model base = Judge.restore(new File(request.get("base").asText()));
        JsonNode steps = request.get("surgery");
        Model expected = steps.path("builder").asBoolean(true)
                ? built(base, steps)
                : Judge.restore(new File(request.get("archive").asText()));

        List<String> differences = new ArrayList<>();
        compare("", JSON.readTree(configuration(expected)), JSON.readTree(configuration(result)), differences);
        answer.put("configuration", differences);

        Map<String, INDArray> wanted = expected.paramTable();
        Map<String, INDArray> found = result.paramTable();
        List<String> parameters = new ArrayList<>();
        TreeSet<String> keys = new TreeSet<>(wanted.keySet());
        keys.addAll(found.keySet());
        List<String> anew = new ArrayList<>();
        steps.path("new").forEach(name -> anew.add(name.asText()));
        long stayed = 0;
        for (String key : keys) {
            INDArray a = wanted.get(key);
            INDArray b = found.get(key);
            if (a == null || b == null || !java.util.Arrays.equals(a.shape(), b.shape())) {
                parameters.add(key + ": " + shape(a) + " and " + shape(b));
            } else if (anew.contains(layer(expected, key))) {
                expected.setParam(key, b.dup());
            } else if (!a.equalsWithEps(b, 0.0)) {
                parameters.add(key + ": other numbers");
            } else {
                stayed += a.length();
            }
        }
        answer.put("parameters", parameters);
        answer.put("stayed", stayed);

        INDArray x = array(request.get("x"));
        INDArray y = array(request.get("y"));
        int batch = request.get("batch").asInt();
        INDArray[] first = {x.get(NDArrayIndex.interval(0, batch)).dup('c')};
        INDArray a = output(expected, first);
        INDArray b = output(result, first);
        answer.put("output_difference", Double.toString(java.util.Arrays.equals(a.shape(), b.shape())
                ? a.sub(b).amaxNumber().doubleValue()
                : Double.NaN));

        TreeSet<String> frozen = frozen(expected);
        Map<String, INDArray> before = new LinkedHashMap<>();
        result.paramTable().forEach((key, array) -> before.put(key, array.dup()));
        int count = request.get("steps").asInt();
        answer.put("losses", train(result, x, y, batch, count));
        answer.put("expected_losses", train(expected, x, y, batch, count));
        List<String> moved = new ArrayList<>();
        List<String> still = new ArrayList<>();
        long stiff = 0;
        for (Map.Entry<String, INDArray> entry : before.entrySet()) {
            boolean same = entry.getValue().equalsWithEps(result.getParam(entry.getKey()), 0.0);
            boolean fixed = frozen.contains(layer(expected, entry.getKey()));
            stiff += fixed ? entry.getValue().length() : 0;
            if (fixed && !same) {
                moved.add(entry.getKey());
            }
            if (!fixed && same) {
                still.add(entry.getKey());
            }
        }
        answer.put("frozen", stiff);
        answer.put("moved", moved);
        answer.put("still", still);
    }

    private static Model built(Model base, JsonNode steps) throws IOException {
        return base instanceof MultiLayerNetwork network ? chain(network, steps) : graph((ComputationGraph) base, steps);
    }

    private static String shape(INDArray array) {
        return array == null ? "missing" : java.util.Arrays.toString(array.shape());
    }

    private static INDArray array(JsonNode file) {
        return Nd4j.createFromNpyFile(new File(file.asText())).castTo(DataType.FLOAT).dup('c');
    }

    private static INDArray output(Model model, INDArray[] x) {
        return model instanceof MultiLayerNetwork network
                ? network.output(x[0], false)
                : ((ComputationGraph) model).output(false, x)[0];
    }

    static String configuration(Model model) {
        return model instanceof MultiLayerNetwork network
                ? network.getLayerWiseConfigurations().toJson()
                : ((ComputationGraph) model).getConfiguration().toJson();
    }

    /** The name of the layer that a parameter belongs to. */
    private static String layer(Model model, String key) {
        String name = key.substring(0, key.lastIndexOf('_'));
        if (model instanceof MultiLayerNetwork network) {
            return network.getLayer(Integer.parseInt(name)).conf().getLayer().getLayerName();
        }
        return name;
    }

    private static TreeSet<String> frozen(Model model) {
        TreeSet<String> frozen = new TreeSet<>();
        Layer[] layers = model instanceof MultiLayerNetwork network
                ? network.getLayers()
                : ((ComputationGraph) model).getLayers();
        for (Layer layer : layers) {
            if (layer.getClass().getSimpleName().startsWith("Frozen")) {
                frozen.add(layer.conf().getLayer().getLayerName());
            }
        }
        return frozen;
    }

    private static List<String> train(Model model, INDArray x, INDArray y, int batch, int steps) {
        List<String> losses = new ArrayList<>();
        long batches = x.size(0) / batch;
        for (int step = 0; step < steps; step++) {
            long from = step % batches * batch;
            INDArray input = x.get(NDArrayIndex.interval(from, from + batch)).dup('c');
            INDArray labels = y.get(NDArrayIndex.interval(from, from + batch)).dup('c');
            if (model instanceof MultiLayerNetwork network) {
                network.fit(new DataSet(input, labels));
            } else {
                ((ComputationGraph) model).fit(new MultiDataSet(input, labels));
            }
            losses.add(Double.toString(model.score()));
        }
        return losses;
    }

    /** Adds where two configurations differ, but for the seeds and the names of dropout's helpers. */
    static void compare(String path, JsonNode wanted, JsonNode found, List<String> differences) {
        if (wanted.isObject() && found.isObject()) {
            TreeSet<String> names = new TreeSet<>();
            wanted.fieldNames().forEachRemaining(names::add);
            found.fieldNames().forEachRemaining(names::add);
            for (String name : names) {
                if (!name.equals("seed")) {
                    compare(path + "/" + name, wanted.path(name), found.path(name), differences);
                }
            }
        } else if (wanted.isArray() && found.isArray() && wanted.size() == found.size()) {
            for (int i = 0; i < wanted.size(); i++) {
                compare(path + "/" + i, wanted.get(i), found.get(i), differences);
            }
        } else if (!wanted.equals(found)) {
            differences.add(path + ": " + wanted + " and " + found);
        }
    }

    private static FineTuneConfiguration fineTune(JsonNode steps) throws IOException {
        FineTuneConfiguration.Builder builder = new FineTuneConfiguration.Builder();
        if (steps.has("updater")) {
            builder.updater(JSON.readValue(steps.get("updater").toString(), IUpdater.class));
        }
        if (steps.has("l2")) {
            builder.l2(steps.get("l2").asDouble());
        }
        if (steps.has("clip_norm")) {
            builder.gradientNormalization(GradientNormalization.ClipL2PerParamType);
            builder.gradientNormalizationThreshold(steps.get("clip_norm").asDouble());
        }
        if (steps.has("clip_value")) {
            builder.gradientNormalization(GradientNormalization.ClipElementWiseAbsoluteValue);
            builder.gradientNormalizationThreshold(steps.get("clip_value").asDouble());
        }
        return builder.build();
    }

    private static org.deeplearning4j.nn.conf.layers.Layer block(JsonNode block) {
        String name = block.path("name").asText();
        int in = block.path("in").asInt();
        int out = block.path("out").asInt();
        Activation activation = Activation.valueOf(block.path("activation").asText("IDENTITY"));
        WeightInit init = WeightInit.valueOf(block.path("init").asText("XAVIER"));
        return switch (block.get("kind").asText()) {
            case "dense" -> new DenseLayer.Builder().name(name).nIn(in).nOut(out).activation(activation).weightInit(init).build();
            case "dropout" -> new DropoutLayer.Builder(new Dropout(block.get("keep").asDouble())).name(name).build();
            case "globalpool" -> new GlobalPoolingLayer.Builder(PoolingType.AVG).name(name).build();
            case "batchnorm" -> new BatchNormalization.Builder().useLogStd(false).name(name).nIn(in).nOut(out).build();
            case "output" -> new OutputLayer.Builder(LossFunction.valueOf(block.get("loss").asText())).name(name)
                    .nIn(in).nOut(out).activation(activation).weightInit(init).build();
            case "rnnoutput" -> new RnnOutputLayer.Builder(LossFunction.valueOf(block.get("loss").asText())).name(name)
                    .nIn(in).nOut(out).activation(activation).weightInit(init).build();
            default -> throw new IllegalArgumentException(block.toString());
        };
    }

    private static int index(MultiLayerNetwork network, String name) {
        for (int i = 0; i < network.getnLayers(); i++) {
            if (name.equals(network.getLayer(i).conf().getLayer().getLayerName())) {
                return i;
            }
        }
        throw new IllegalArgumentException("no layer " + name);
    }

    private static MultiLayerNetwork chain(MultiLayerNetwork network, JsonNode steps) throws IOException {
        TransferLearning.Builder builder = new TransferLearning.Builder(network).fineTuneConfiguration(fineTune(steps));
        if (steps.has("freeze_through")) {
            builder.setFeatureExtractor(index(network, steps.get("freeze_through").asText()));
        }
        if (steps.has("resize")) {
            JsonNode resize = steps.get("resize");
            WeightInit init = WeightInit.valueOf(resize.path("init").asText("XAVIER"));
            builder.nOutReplace(index(network, resize.get("layer").asText()), resize.get("out").asInt(), init);
        }
        if (steps.has("remove")) {
            builder.removeLayersFromOutput(steps.get("remove").asInt());
        }
        for (JsonNode block : steps.path("add")) {
            builder.addLayer(block(block));
        }
        return builder.build();
    }

    private static ComputationGraph graph(ComputationGraph network, JsonNode steps) throws IOException {
        TransferLearning.GraphBuilder builder =
                new TransferLearning.GraphBuilder(network).fineTuneConfiguration(fineTune(steps));
        if (steps.has("freeze_through")) {
            builder.setFeatureExtractor(steps.get("freeze_through").asText());
        }
        if (steps.has("resize")) {
            JsonNode resize = steps.get("resize");
            WeightInit init = WeightInit.valueOf(resize.path("init").asText("XAVIER"));
            builder.nOutReplace(resize.get("layer").asText(), resize.get("out").asInt(), init);
        }
        for (JsonNode name : steps.path("remove_vertices")) {
            builder.removeVertexAndConnections(name.asText());
        }
        if (steps.has("replace")) {
            builder.removeVertexKeepConnections(steps.get("replace").asText());
        }
        String before = steps.path("behind").asText();
        for (JsonNode block : steps.path("add")) {
            String name = block.get("name").asText();
            builder.addLayer(name, block(block), before);
            before = name;
        }
        if (steps.has("outputs")) {
            List<String> outputs = new ArrayList<>();
            for (Iterator<JsonNode> names = steps.get("outputs").elements(); names.hasNext(); ) {
                outputs.add(names.next().asText());
            }
            builder.setOutputs(outputs.toArray(new String[0]));
        }
        return builder.build();
    }
}
